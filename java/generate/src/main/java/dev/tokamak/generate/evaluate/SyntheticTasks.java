// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate.evaluate;

import dev.tokamak.generate.evaluate.FewShot.Example;
import dev.tokamak.generate.evaluate.FewShot.Task;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Tasks for {@link FewShot} in the words of small children, so that small models have a chance.
 * Some need nothing but the examples (copy, constant), some a rule (plural, next number), some
 * knowledge of words (opposite, kind).
 */
public final class SyntheticTasks {
  private static final List<String> THINGS =
      List.of(
          "cat", "dog", "ball", "tree", "car", "book", "bird", "cup", "hat", "bed", "boat", "frog",
          "duck", "star", "door", "flower", "cake", "cookie", "rabbit", "bear", "chair", "apple",
          "house", "garden", "river", "rock", "king", "doll", "truck", "kite");

  private static final String[][] OPPOSITES = {
    {"hot", "cold"}, {"big", "small"}, {"happy", "sad"}, {"up", "down"}, {"day", "night"},
    {"good", "bad"}, {"old", "new"}, {"fast", "slow"}, {"wet", "dry"}, {"open", "closed"},
    {"in", "out"}, {"yes", "no"}, {"black", "white"}, {"full", "empty"}, {"loud", "quiet"},
    {"hard", "soft"}, {"high", "low"}, {"left", "right"}, {"clean", "dirty"}, {"dark", "light"},
    {"boy", "girl"}, {"first", "last"}, {"near", "far"}, {"long", "short"},
  };

  private static final String[][] KINDS = {
    {"animal", "cat", "dog", "bird", "frog", "duck", "rabbit", "bear", "horse", "cow", "fish"},
    {"food", "cake", "apple", "bread", "cookie", "soup", "cheese", "banana", "egg", "rice", "pie"},
    {"color", "red", "blue", "green", "yellow", "pink", "black", "white", "brown", "orange", "gray"},
  };

  private static final List<String> VERBS =
      List.of(
          "play", "jump", "walk", "look", "help", "ask", "talk", "want", "laugh", "paint", "cook",
          "clean", "climb", "open", "wash", "kick", "pick", "watch", "listen", "thank", "start",
          "finish", "answer", "visit");

  private SyntheticTasks() {}

  /** All tasks. */
  public static List<Task> all() {
    return List.of(
        of("copy", THINGS, word -> word),
        of("constant", THINGS, word -> "blue"),
        of("double", THINGS, word -> word + " " + word),
        of("first letter", THINGS, word -> word.substring(0, 1)),
        of("plural", THINGS, word -> word + "s"),
        of("past", VERBS, verb -> verb + "ed"),
        new Task(
            "next number",
            IntStream.range(0, 40)
                .mapToObj(n -> new Example(String.valueOf(n), String.valueOf(n + 1)))
                .toList()),
        new Task(
            "opposite",
            Stream.of(OPPOSITES).map(pair -> new Example(pair[0], pair[1])).toList()),
        new Task("kind", kinds()));
  }

  private static Task of(String name, List<String> inputs, UnaryOperator<String> rule) {
    return new Task(
        name, inputs.stream().map(word -> new Example(word, rule.apply(word))).toList());
  }

  private static List<Example> kinds() {
    List<Example> examples = new ArrayList<>();
    for (String[] kind : KINDS) {
      for (int i = 1; i < kind.length; i++) {
        examples.add(new Example(kind[i], kind[0]));
      }
    }
    return examples;
  }
}
