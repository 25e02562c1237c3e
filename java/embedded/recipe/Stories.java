// SPDX-License-Identifier: Apache-2.0
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Requests for stories with given words, made backwards: from a story to words that it uses. */
final class Stories {
  private static final Pattern WORD = Pattern.compile("[a-z]+");

  /** No names, and no parts of contractions. */
  private static final Pattern PLAIN_WORD = Pattern.compile("(?<![A-Za-z'’])[a-z]{3,}(?![a-z'’])");

  private static final Pattern SENTENCE_END = Pattern.compile("[.!?]\"?(?=\\s|$)");

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

  private static final List<String> BEGINNINGS =
      List.of(
          "Write the beginning of a story with the words %s.",
          "Begin a story that uses the words %s.",
          "How could a story with %s begin?",
          "Start a story for me. Use the words: %s.");

  /** Where a story's beginning ends, or the sentence that goes on there. */
  private static final int BEGINNING_CHARACTERS = 300;

  private static final List<String> WISHES =
      List.of("Tell me a story%s.", "Can you tell me a story%s?", "Write a short story%s.",
          "I want a story%s.", "Please tell a story%s!");

  private static final Set<String> SUBJECTS =
      Stream.of(
              Words.ANIMALS, Words.THINGS, Words.PLACES,
              List.of("girl", "boy", "dragon", "princess", "king", "robot", "monster", "fairy",
                  "lion", "monkey", "tree", "bunny", "puppy", "kitten", "elephant", "giant"))
          .flatMap(List::stream)
          .collect(Collectors.toSet());

  private final Map<String, Integer> stories = new HashMap<>();
  private final int count;

  /** Counts in how many stories each word stands. */
  Stories(List<String> of) {
    of.forEach(story -> words(story).forEach(word -> stories.merge(word, 1, Integer::sum)));
    count = of.size();
  }

  static Set<String> words(String story) {
    return matches(WORD, story.toLowerCase(Locale.ROOT));
  }

  private static Set<String> matches(Pattern pattern, String text) {
    Set<String> matches = new LinkedHashSet<>();
    Matcher matcher = pattern.matcher(text);
    while (matcher.find()) {
      matches.add(matcher.group());
    }
    return matches;
  }

  /**
   * Three words of a story's beginning, in its order, that few stories have but not hardly any; none
   * where there are no three. What the reader of a request can tell from it early, and what is
   * unlikely without it, is learned soonest.
   */
  List<String> telling(String story, SplittableRandom random) {
    List<String> candidates = new ArrayList<>();
    for (String word : matches(PLAIN_WORD, beginning(story, BEGINNING_CHARACTERS))) {
      int in = stories.getOrDefault(word, 0);
      if (in >= 30 && in <= count / 40) {
        candidates.add(word);
      }
    }
    if (candidates.size() < 3) {
      return List.of();
    }
    List<String> words = Words.some(candidates, 3, random);
    words.sort(Comparator.comparing(candidates::indexOf));
    return words;
  }

  private static String beginning(String story, int length) {
    return story.substring(0, Math.min(length, story.length()));
  }

  static String request(List<String> words, SplittableRandom random) {
    return request(REQUESTS, words, random);
  }

  private static String request(
      List<String> requests, List<String> words, SplittableRandom random) {
    return String.format(Words.one(requests, random), String.join(", ", words));
  }

  /** A request for a story's beginning with given words. */
  static String beginningRequest(List<String> words, SplittableRandom random) {
    return request(BEGINNINGS, words, random);
  }

  /**
   * Such a request, and a story's beginning that answers it. Nearly every sentence of the answer
   * depends on the words, so they are learned with fewer tokens than from whole stories.
   */
  Optional<Programs.Exchange> begun(String story, SplittableRandom random) {
    List<String> words = telling(story, random);
    Matcher end = SENTENCE_END.matcher(story);
    boolean goesOn = story.length() > BEGINNING_CHARACTERS && end.find(BEGINNING_CHARACTERS);
    if (words.isEmpty() || !goesOn) {
      return Optional.empty();
    }
    String beginning = story.substring(0, end.end());
    return Optional.of(
        new Programs.Exchange(beginningRequest(words, random), beginning, beginning));
  }

  /** A request that the story answers: with given words mostly, of something, or just a story. */
  Optional<Programs.Exchange> asked(String story, SplittableRandom random) {
    if (random.nextInt(10) == 0) {
      List<String> about = new ArrayList<>(words(beginning(story, 200)));
      about.retainAll(SUBJECTS);
      String wish = about.isEmpty() ? "" : " about " + Words.withArticle(about.getFirst());
      return Optional.of(
          new Programs.Exchange(Words.one(WISHES, random).formatted(wish), story, story));
    }
    List<String> words = telling(story, random);
    return words.isEmpty()
        ? Optional.empty()
        : Optional.of(new Programs.Exchange(request(words, random), story, story));
  }

  /** A question that the beginning of a story answers, if it names somebody. */
  static Optional<Programs.Exchange> question(String story) {
    String[] sentences = story.replace('\n', ' ').split("(?<=[.!?]) +");
    String beginning = String.join(" ", Arrays.copyOf(sentences, Math.min(3, sentences.length)));
    Matcher named = NAMED.matcher(beginning);
    if (!named.find() || beginning.length() > 400) {
      return Optional.empty();
    }
    String name = named.group(1);
    String who =
        beginning.contains("girl named")
            ? "the girl"
            : beginning.contains("boy named") ? "the boy" : "";
    return who.isEmpty()
        ? Optional.empty()
        : Optional.of(
            new Programs.Exchange(
                "Read this: " + beginning + " What is the name of " + who + "?",
                "The name of " + who + " is " + name + ".",
                name));
  }
}
