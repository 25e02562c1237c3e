// SPDX-License-Identifier: Apache-2.0
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Makes the data of the embedded model that is not a corpus as it stands.
 *
 * <pre>java java/embedded/recipe/MakeData.java CORPORA OUT</pre>
 *
 * CORPORA holds tinystories-more-train.txt.gz and tinystories-more-valid.txt.gz. The same input gives
 * the same output, byte for byte.
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
    List<String> train =
        Lines.documents(corpora.resolve("tinystories-more-train.txt.gz")).stream()
            .map(story -> story.replaceAll("(?<=[A-Za-z])'S\\b", "'s")) // as in "Let'S"
            .toList();
    List<String> valid = Lines.documents(corpora.resolve("tinystories-more-valid.txt.gz"));
    var stories = new Stories(train);

    Lines.write(out.resolve("programs.txt"), programs(60_000, new SplittableRandom(1)));
    Lines.writeJson(
        out.resolve("sft.jsonl"), instructions(stories, part(train, false), new SplittableRandom(2)));
    Lines.writeJson(
        out.resolve("sft-valid.jsonl"),
        instructions(stories, part(train, true), new SplittableRandom(8)));
    Lines.writeJson(
        out.resolve("requests.jsonl"),
        wordCases(stories, Words.some(train, 4000, new SplittableRandom(3)), 3));

    Lines.writeJson(
        out.resolve("rewards.jsonl"), rewards(stories, part(train, false), new SplittableRandom(9)));

    List<Map<String, Object>> words = wordCases(stories, valid, 4);
    evaluation(out, "words", words);
    evaluation(out, "word", eachWord(words));
    evaluation(out, "sums", sumCases(600));
    evaluation(out, "find", findCases(valid, 600));
    evaluation(out, "absent", absentCases(600));
  }

  /** Every hundredth story, or the others. */
  private static List<String> part(List<String> stories, boolean heldOut) {
    return IntStream.range(0, stories.size())
        .filter(i -> i % 100 == 50 == heldOut)
        .mapToObj(stories::get)
        .toList();
  }

  /** Cases as conversations, and as the texts in which a base model knows questions. */
  private static void evaluation(Path out, String name, List<Map<String, Object>> cases)
      throws IOException {
    Lines.writeJson(out.resolve("eval-" + name + ".jsonl"), cases);
    List<Map<String, Object>> plain = new ArrayList<>();
    for (Map<String, Object> line : cases) {
      var copy = new LinkedHashMap<>(line);
      var message = (Map<?, ?>) ((List<?>) copy.remove("messages")).getFirst();
      copy.put("prompt", "User: " + message.get("content") + "\nAnswer:");
      plain.add(copy);
    }
    Lines.writeJson(out.resolve("eval-" + name + "-plain.jsonl"), plain);
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

  /** Conversations of one to three exchanges, half of them about stories. */
  private static List<Map<String, Object>> instructions(
      Stories stories, List<String> of, SplittableRandom random) {
    List<Map<String, Object>> lines = new ArrayList<>();
    for (String story : of) {
      stories.begun(story, random).ifPresent(begun -> lines.add(messages(List.of(begun))));
    }
    // Each story twice, asked for with other words.
    for (String story : Stream.concat(of.stream(), of.stream()).toList()) {
      List<Programs.Exchange> exchanges = new ArrayList<>();
      if (story.length() <= STORY_CHARACTERS) {
        stories.asked(story, random).ifPresent(exchanges::add);
      }
      if (random.nextInt(8) == 0) {
        Stories.question(story).ifPresent(exchanges::add);
      }
      if (random.nextInt(8) == 0) {
        exchanges.addFirst(Programs.talk(random));
      }
      if (!exchanges.isEmpty()) {
        lines.add(messages(exchanges));
      }
    }
    for (int i = lines.size(); i > 0; i--) {
      List<Programs.Exchange> exchanges = new ArrayList<>();
      for (int turn = 1 + random.nextInt(3); turn > 0; turn--) {
        exchanges.add(Programs.instruction(random));
      }
      lines.add(messages(exchanges));
    }
    return lines;
  }

  private static Map<String, Object> messages(List<Programs.Exchange> exchanges) {
    List<Map<String, Object>> messages = new ArrayList<>();
    for (Programs.Exchange exchange : exchanges) {
      messages.add(message("user", exchange.question()));
      messages.add(message("assistant", exchange.answer()));
    }
    return Map.of("messages", messages);
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

  private static List<Map<String, Object>> wordCases(
      Stories stories, List<String> of, long seed) {
    var random = new SplittableRandom(seed);
    List<Map<String, Object>> lines = new ArrayList<>();
    for (String story : of) {
      List<String> words = stories.telling(story, random);
      if (!words.isEmpty()) {
        lines.add(asked(Stories.request(words, random), "words", words));
      }
    }
    return lines;
  }

  /** Questions that the model is rewarded for: half of them sums. */
  private static List<Map<String, Object>> rewards(
      Stories stories, List<String> of, SplittableRandom random) {
    List<Map<String, Object>> lines = new ArrayList<>();
    while (lines.size() < 6000) {
      switch (random.nextInt(10)) {
        case 0, 1, 2, 3, 4 -> lines.add(sumCase(random, false));
        case 5, 6 -> lines.add(absentCase(random));
        case 7 -> lines.add(findCase(random));
        default -> {
          List<String> words = stories.telling(Words.one(of, random), random);
          if (!words.isEmpty()) {
            lines.add(asked(Stories.beginningRequest(words, random), "words", words));
          }
        }
      }
    }
    return lines;
  }

  /** The same requests, once for each of their words. */
  private static List<Map<String, Object>> eachWord(List<Map<String, Object>> cases) {
    List<Map<String, Object>> lines = new ArrayList<>();
    for (Map<String, Object> line : cases) {
      for (Object word : (List<?>) line.get("words")) {
        var one = new LinkedHashMap<>(line);
        one.put("words", List.of(word));
        lines.add(one);
      }
    }
    return lines;
  }

  private static List<Map<String, Object>> sumCases(int count) {
    var random = new SplittableRandom(5);
    List<Map<String, Object>> lines = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      lines.add(sumCase(random, true));
    }
    return lines;
  }

  private static Map<String, Object> sumCase(SplittableRandom random, boolean heldOut) {
    Programs.Exchange sum = Programs.sum(random, 100, heldOut);
    return asked(sum.question(), "number", Integer.valueOf(sum.result()));
  }

  private static List<Map<String, Object>> findCases(List<String> valid, int count) {
    var random = new SplittableRandom(6);
    List<Map<String, Object>> lines = new ArrayList<>();
    for (String story : valid) {
      Stories.question(story)
          .ifPresent(
              found -> lines.add(asked(found.question(), "words", List.of(found.result()))));
    }
    while (lines.size() < count) {
      lines.add(findCase(random));
    }
    return lines;
  }

  private static Map<String, Object> findCase(SplittableRandom random) {
    Programs.Exchange found = Programs.find(random, true);
    return asked(found.question(), "words", List.of(found.result()));
  }

  private static List<Map<String, Object>> absentCases(int count) {
    var random = new SplittableRandom(7);
    List<Map<String, Object>> lines = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      lines.add(absentCase(random));
    }
    return lines;
  }

  private static Map<String, Object> absentCase(SplittableRandom random) {
    return asked(Programs.find(random, false).question(), "pattern", "(?s).*does not say.*");
  }
}
