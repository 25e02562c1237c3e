// SPDX-License-Identifier: Apache-2.0
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Requests for stories with given words, made backwards: from a story to words that it uses. */
final class Stories {
  private static final Pattern WORD = Pattern.compile("[a-z]+");
  private static final Pattern NAMED = Pattern.compile("named ([A-Z][a-z]+)");

  private static final List<String> REQUESTS =
      List.of(
          "Write a story with the words %s.",
          "Tell me a story with the words %s.",
          "Please write a short story. Use the words: %s.",
          "Write a short story that uses the words %s.",
          "Can you tell a story with %s?",
          "I want a story with these words: %s.",
          "Please write a story for a small child that uses these words: %s.",
          "Write a short story. Use the words: %s.");

  private final Map<String, Integer> stories = new HashMap<>();
  private final int count;

  /** Counts in how many stories each word stands. */
  Stories(List<String> of) {
    of.forEach(story -> words(story).forEach(word -> stories.merge(word, 1, Integer::sum)));
    count = of.size();
  }

  static Set<String> words(String story) {
    Set<String> words = new LinkedHashSet<>();
    Matcher matcher = WORD.matcher(story.toLowerCase(Locale.ROOT));
    while (matcher.find()) {
      words.add(matcher.group());
    }
    return words;
  }

  /** Three words of a story that are neither in most stories nor in hardly any; fewer: none. */
  List<String> telling(String story, SplittableRandom random) {
    List<String> candidates = new ArrayList<>();
    for (String word : words(story)) {
      int in = stories.getOrDefault(word, 0);
      if (word.length() >= 3 && in >= 40 && in <= count / 12) {
        candidates.add(word);
      }
    }
    return candidates.size() < 3 ? List.of() : Words.some(candidates, 3, random);
  }

  static String request(List<String> words, SplittableRandom random) {
    return String.format(Words.one(REQUESTS, random), String.join(", ", words));
  }

  /** A question that the beginning of a story answers, if it names somebody. */
  static List<Programs.Exchange> question(String story) {
    String[] sentences = story.replace('\n', ' ').split("(?<=[.!?]) +");
    String beginning = String.join(" ", Arrays.copyOf(sentences, Math.min(3, sentences.length)));
    Matcher named = NAMED.matcher(beginning);
    if (!named.find() || beginning.length() > 400) {
      return List.of();
    }
    String name = named.group(1);
    String who =
        beginning.contains("girl named")
            ? "the girl"
            : beginning.contains("boy named") ? "the boy" : "";
    return who.isEmpty()
        ? List.of()
        : List.of(
            new Programs.Exchange(
                "Read this: " + beginning + " What is the name of " + who + "?",
                "The name of " + who + " is " + name + ".",
                name));
  }
}
