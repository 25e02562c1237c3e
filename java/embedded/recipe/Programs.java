// SPDX-License-Identifier: Apache-2.0
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Questions and answers made by programs: sums in steps, copying, sorting, counting, facts to be
 * found in a text, patterns to be continued. Each is an exchange of a question and its answer.
 */
final class Programs {
  /** A question, its answer, and the shortest form of what is right in it. */
  record Exchange(String question, String answer, String result) {}

  private Programs() {}

  /** Sums that no training data has: those that {@code train grpo} holds out too, one in ten. */
  static boolean heldOut(int a, int b) {
    int larger = Math.max(a, b);
    return (larger * (larger + 1) / 2 + Math.min(a, b)) % 10 == 7;
  }

  /** A sum whose held-out flag is as wanted; both numbers below {@code limit}. */
  static Exchange sum(SplittableRandom random, int limit, boolean heldOut) {
    while (true) {
      int a = random.nextInt(limit);
      int b = random.nextInt(limit);
      if (heldOut(a, b) == heldOut) {
        return sum(a, b, random);
      }
    }
  }

  private static Exchange sum(int a, int b, SplittableRandom random) {
    String question =
        switch (random.nextInt(4)) {
          case 0 -> "What is " + a + " + " + b + "?";
          case 1 -> a + " + " + b + " = ?";
          case 2 -> "Add " + a + " and " + b + ".";
          default -> "How much is " + a + " + " + b + "?";
        };
    int result = a + b;
    String steps = "";
    if (a >= 10 || b >= 10) {
      int ones = a % 10 + b % 10;
      int tens = a / 10 * 10 + b / 10 * 10;
      steps =
          a % 10 + " + " + b % 10 + " = " + ones + ". " + a / 10 * 10 + " + " + b / 10 * 10
              + " = " + tens + ". " + tens + " + " + ones + " = " + result + ". ";
    }
    return new Exchange(
        question, steps + "The answer is " + result + ".", String.valueOf(result));
  }

  static Exchange copy(SplittableRandom random) {
    String text =
        "the " + Words.one(Words.COLORS, random) + " " + Words.one(Words.ANIMALS, random) + " and the "
            + Words.one(Words.COLORS, random) + " " + Words.one(Words.THINGS, random);
    String question =
        Words.one(List.of("Say this again: ", "Repeat: ", "Copy this: "), random) + text;
    return new Exchange(question, text, text);
  }

  static Exchange sort(SplittableRandom random) {
    int count = 3 + random.nextInt(3);
    if (random.nextBoolean()) {
      List<Integer> numbers =
          Words.some(IntStream.range(0, 50).boxed().toList(), count, random);
      return sorted("Sort these numbers: ", numbers);
    }
    return sorted("Sort these words: ", Words.some(Words.ANIMALS, count, random));
  }

  private static <T extends Comparable<T>> Exchange sorted(String question, List<T> values) {
    String answer = join(values.stream().sorted().toList());
    return new Exchange(question + join(values), answer, answer);
  }

  private static String join(List<?> values) {
    return values.stream().map(String::valueOf).collect(Collectors.joining(", "));
  }

  static Exchange count(SplittableRandom random) {
    int n = 1 + random.nextInt(9);
    String thing = Words.one(Words.THINGS, random);
    String other = Words.one(Words.ANIMALS, random);
    List<String> row = new ArrayList<>(Collections.nCopies(n, thing));
    for (int i = random.nextInt(4); i > 0; i--) {
      row.add(random.nextInt(row.size() + 1), other);
    }
    return new Exchange(
        "How many times is " + thing + " in this list? " + String.join(" ", row),
        n == 1 ? "1 time." : n + " times.",
        String.valueOf(n));
  }

  /** A few facts, and a question: the answer stands in the text, or the text does not say. */
  static Exchange find(SplittableRandom random, boolean told) {
    int count = 2 + random.nextInt(3);
    int drawn = told ? count : count + 1;
    List<String> names = Words.some(Words.NAMES, drawn, random);
    List<String> things = Words.some(Words.THINGS, drawn, random);
    List<String> colors = Words.some(Words.COLORS, drawn, random);
    List<String> places = Words.some(Words.PLACES, drawn, random);
    List<String> foods = Words.some(Words.FOODS, drawn, random);
    int asked = told ? random.nextInt(count) : count;
    int kind = random.nextInt(4);
    var text = new StringBuilder();
    for (int i = 0; i < count; i++) {
      text.append(i == 0 ? "" : " ")
          .append(
              switch (kind) {
                case 0 -> names.get(i) + " has a " + colors.get(i) + " " + things.get(i) + ".";
                case 1 -> names.get(i) + " is at the " + places.get(i) + ".";
                case 2 -> "The " + things.get(i) + " is in the " + places.get(i) + ".";
                default -> names.get(i) + " likes to eat " + foods.get(i) + ".";
              });
    }
    String question =
        switch (kind) {
          case 0 -> "What color is the " + things.get(asked) + "?";
          case 1 -> "Where is " + names.get(asked) + "?";
          case 2 -> "Where is the " + things.get(asked) + "?";
          default -> "What does " + names.get(asked) + " like to eat?";
        };
    String result =
        switch (kind) {
          case 0 -> colors.get(asked);
          case 1, 2 -> places.get(asked);
          default -> foods.get(asked);
        };
    String answer =
        switch (kind) {
          case 0 -> "The " + things.get(asked) + " is " + result + ".";
          case 1 -> names.get(asked) + " is at the " + result + ".";
          case 2 -> "The " + things.get(asked) + " is in the " + result + ".";
          default -> names.get(asked) + " likes to eat " + result + ".";
        };
    return new Exchange(
        "Read this: " + text + " " + question, told ? answer : "The text does not say.", result);
  }

  /** Lines of a pattern; the answer is what ends the last. The words are not those of evaluate. */
  static Exchange pattern(SplittableRandom random) {
    List<Function<String, String>> rules =
        List.of(
            word -> word,
            word -> word + "!",
            word -> "the " + word,
            word -> word.substring(word.length() - 1),
            word -> new StringBuilder(word).reverse().toString(),
            word -> word + " and " + word,
            word -> String.valueOf(word.length()));
    Function<String, String> rule = Words.one(rules, random);
    if (random.nextInt(4) == 0) {
      String always = Words.one(Words.COLORS, random);
      rule = _ -> always;
    }
    List<String> words = Words.some(Words.NAMES, 3 + random.nextInt(4), random);
    var text = new StringBuilder();
    for (String word : words) {
      text.append(text.isEmpty() ? "" : "\n").append(word).append(" -> ").append(rule.apply(word));
    }
    int end = text.lastIndexOf(" -> ") + 3;
    return new Exchange(
        text.substring(0, end), text.substring(end + 1), text.substring(end + 1));
  }

  /** Small talk, politely answered. */
  static Exchange talk(SplittableRandom random) {
    String name = Words.one(Words.NAMES, random);
    String[][] talks = {
      {"Hello!", "Hello! How can I help you?"},
      {"Hi, my name is " + name + ".", "Hello, " + name + "! It is nice to meet you."},
      {"Good morning.", "Good morning! I hope you have a nice day."},
      {"Thank you.", "You are welcome!"},
      {"Thanks for the story!", "You are welcome! I am glad that you liked it."},
      {"How are you?", "I am fine, thank you. How are you?"},
      {"Who are you?", "I am a small language model. I can tell stories."},
      {"What can you do?", "I can tell short stories, answer questions about a text and add numbers."},
      {"Goodbye.", "Goodbye! See you soon."},
      {"Good night.", "Good night! Sleep well."},
      {"I am " + Words.one(List.of("sad", "scared", "tired"), random) + ".",
        "I am sorry to hear that. I hope you feel better soon."},
      {"I am " + Words.one(List.of("happy", "proud", "excited"), random) + ".",
        "I am glad to hear that!"},
      {"You are stupid.", "I am sorry. I will try to do better."},
      {"Please help me.", "Of course. What can I do for you?"},
    };
    String[] talk = talks[random.nextInt(talks.length)];
    return new Exchange(talk[0], talk[1], talk[1]);
  }

  /** Any of the kinds, for instruction: more of what must be found, few sums but larger ones. */
  static Exchange instruction(SplittableRandom random) {
    return switch (random.nextInt(20)) {
      case 0 -> sum(random, random.nextInt(8) == 0 ? 100 : 20, false);
      case 1, 2 -> copy(random);
      case 3, 4 -> sort(random);
      case 5, 6 -> count(random);
      case 7, 8, 9, 10, 11, 12 -> find(random, true);
      case 13, 14 -> find(random, false);
      case 15 -> pattern(random);
      default -> talk(random);
    };
  }

  /** Any of the kinds, for pretraining. */
  static Exchange any(SplittableRandom random) {
    return switch (random.nextInt(10)) {
      case 0, 1, 2 -> sum(random, random.nextBoolean() ? 10 : 50, false);
      case 3 -> copy(random);
      case 4 -> sort(random);
      case 5 -> count(random);
      case 6, 7 -> find(random, true);
      case 8 -> pattern(random);
      default -> talk(random);
    };
  }
}
