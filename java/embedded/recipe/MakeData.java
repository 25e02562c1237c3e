// SPDX-License-Identifier: Apache-2.0
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * Makes the data of the embedded model that is not a corpus as it stands.
 *
 * <pre>java java/embedded/recipe/MakeData.java CORPORA OUT</pre>
 *
 * CORPORA holds tinystories-more-train.txt.gz, tinystories-more-valid.txt.gz and
 * stories260K-samples.txt.gz. The same input gives the same output, byte for byte.
 */
final class MakeData {
  /** Stories longer than this do not fit into the model's context beside their request. */
  private static final int STORY_CHARACTERS = 1200;

  private MakeData() {}

  public static void main(String[] arguments) throws IOException {
    if (arguments.length != 2) {
      System.err.println("usage: java MakeData.java CORPORA OUT");
      System.exit(2);
    }
    Path corpora = Path.of(arguments[0]);
    Path out = Files.createDirectories(Path.of(arguments[1]));
    List<String> train = Lines.documents(corpora.resolve("tinystories-more-train.txt.gz"));
    List<String> valid = Lines.documents(corpora.resolve("tinystories-more-valid.txt.gz"));
    List<String> weak = Lines.documents(corpora.resolve("stories260K-samples.txt.gz"));
    var stories = new Stories(train);

    Lines.write(out.resolve("programs.txt"), programs(60_000, new SplittableRandom(1)));
    Lines.writeJson(out.resolve("sft.jsonl"), instructions(stories, train));
    Lines.writeJson(out.resolve("dpo.jsonl"), preferences(stories, train, weak));

    Lines.writeJson(out.resolve("eval-words.jsonl"), wordCases(stories, valid));
    Lines.writeJson(out.resolve("eval-sums.jsonl"), sumCases(600));
    Lines.writeJson(out.resolve("eval-find.jsonl"), findCases(valid, 600));
  }

  /** Text for pretraining: a few exchanges a document, plain or as a conversation. */
  private static List<String> programs(int count, SplittableRandom random) {
    List<String> documents = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      boolean conversation = random.nextInt(3) == 0;
      var text = new StringBuilder();
      for (int turn = 1 + random.nextInt(3); turn > 0; turn--) {
        Programs.Exchange exchange = Programs.any(random);
        text.append(text.isEmpty() ? "" : "\n")
            .append(
                conversation
                    ? "User: " + exchange.question() + "\nAnswer: " + exchange.answer()
                    : exchange.question()
                        + (exchange.question().endsWith("->") ? " " : "\n")
                        + exchange.answer());
      }
      documents.add(text.toString());
    }
    return documents;
  }

  private static List<Map<String, Object>> instructions(Stories stories, List<String> train) {
    var random = new SplittableRandom(2);
    List<Map<String, Object>> lines = new ArrayList<>();
    for (String story : train) {
      List<String> words = stories.telling(story, random);
      if (story.length() <= STORY_CHARACTERS && !words.isEmpty()) {
        lines.add(messages(Stories.request(words, random), story));
      }
      if (random.nextInt(4) == 0) {
        Stories.question(story)
            .forEach(found -> lines.add(messages(found.question(), found.answer())));
      }
    }
    for (int i = lines.size(); i > 0; i--) {
      Programs.Exchange exchange = Programs.any(random);
      lines.add(messages(exchange.question(), exchange.answer()));
    }
    return lines;
  }

  /** The same request answered by a story that uses the words, and by one that does not. */
  private static List<Map<String, Object>> preferences(
      Stories stories, List<String> train, List<String> weak) {
    var random = new SplittableRandom(3);
    List<Map<String, Object>> lines = new ArrayList<>();
    for (String story : train) {
      List<String> words = stories.telling(story, random);
      // Half of the others are as good as the first, so that the words make the difference.
      String other = Words.one(random.nextBoolean() ? train : weak, random);
      if (story.length() <= STORY_CHARACTERS
          && other.length() <= STORY_CHARACTERS
          && !words.isEmpty()
          && words.stream().filter(Stories.words(other)::contains).count() <= 1) {
        var line = new LinkedHashMap<String, Object>(); // Map.of has no order to rely on
        line.put("prompt", Stories.request(words, random));
        line.put("chosen", story);
        line.put("rejected", other);
        lines.add(line);
      }
    }
    return lines;
  }

  private static Map<String, Object> messages(String question, String answer) {
    return Map.of("messages", List.of(message("user", question), message("assistant", answer)));
  }

  private static Map<String, Object> message(String role, String content) {
    var message = new LinkedHashMap<String, Object>();
    message.put("role", role);
    message.put("content", content);
    return message;
  }

  private static Map<String, Object> asked(String question, String rule, Object value) {
    var line = new LinkedHashMap<String, Object>();
    line.put("messages", List.of(message("user", question)));
    line.put(rule, value);
    return line;
  }

  private static List<Map<String, Object>> wordCases(Stories stories, List<String> valid) {
    var random = new SplittableRandom(4);
    List<Map<String, Object>> lines = new ArrayList<>();
    for (String story : valid) {
      List<String> words = stories.telling(story, random);
      if (!words.isEmpty()) {
        lines.add(asked(Stories.request(words, random), "words", words));
      }
    }
    return lines;
  }

  private static List<Map<String, Object>> sumCases(int count) {
    var random = new SplittableRandom(5);
    List<Map<String, Object>> lines = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      Programs.Exchange sum = Programs.sum(random, 50, true);
      lines.add(asked(sum.question(), "number", Integer.valueOf(sum.result())));
    }
    return lines;
  }

  private static List<Map<String, Object>> findCases(List<String> valid, int count) {
    var random = new SplittableRandom(6);
    List<Map<String, Object>> lines = new ArrayList<>();
    for (String story : valid) {
      Stories.question(story)
          .forEach(
              found -> lines.add(asked(found.question(), "words", List.of(found.result()))));
    }
    while (lines.size() < count) {
      Programs.Exchange found = Programs.find(random);
      lines.add(asked(found.question(), "words", List.of(found.result())));
    }
    return lines;
  }
}
