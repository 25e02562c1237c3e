// SPDX-License-Identifier: Apache-2.0
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/**
 * Makes preferences of a model's own answers: of two stories for the same request the one that uses
 * more of its words is preferred.
 *
 * <pre>java -cp JACKSON Preferences.java OUT.jsonl ANSWERS.json ...</pre>
 *
 * ANSWERS are what {@code tokamak evaluate --task verify --json} wrote, each with another seed.
 */
final class Preferences {
  /** How every request for a story ends. */
  private static final Pattern ASKED = Pattern.compile("([a-z]+), ([a-z]+), ([a-z]+)[.?]$");

  private static final Pattern WHOLE = Pattern.compile("(?s).*[.!?][\"']?");

  /** An answer to a request. */
  private record Answer(String prompt, String text) {
    /** How many of the words that were asked for stand in it. */
    int used() {
      Matcher asked = ASKED.matcher(prompt);
      Set<String> words = asked.find() ? Stories.words(text) : Set.of();
      return (int) IntStream.rangeClosed(1, 3).filter(i -> words.contains(asked.group(i))).count();
    }

    /** One that was cut off is no example to follow. */
    boolean isWhole() {
      return WHOLE.matcher(text.strip()).matches();
    }
  }

  private Preferences() {}

  public static void main(String[] arguments) throws IOException {
    if (arguments.length < 3) {
      System.err.println("usage: java Preferences.java OUT.jsonl ANSWERS.json ...");
      System.exit(2);
    }
    Map<String, List<Answer>> byPrompt = new LinkedHashMap<>();
    for (int i = 1; i < arguments.length; i++) {
      for (Answer answer : answers(Path.of(arguments[i]))) {
        if (answer.isWhole()) {
          byPrompt.computeIfAbsent(answer.prompt, _ -> new ArrayList<>()).add(answer);
        }
      }
    }
    List<Map<String, Object>> lines = new ArrayList<>();
    for (List<Answer> answers : byPrompt.values()) {
      pairs(answers, lines);
    }
    Lines.writeJson(Path.of(arguments[0]), lines);
  }

  /** The best answer beside the worst, the second best beside the second worst, and so on. */
  private static void pairs(List<Answer> answers, List<Map<String, Object>> lines) {
    List<Answer> sorted = answers.stream().sorted(Comparator.comparing(Answer::used)).toList();
    for (int i = 0; i < sorted.size() / 2; i++) {
      Answer worse = sorted.get(i);
      Answer better = sorted.get(sorted.size() - 1 - i);
      if (worse.used() < better.used()) {
        var line = new LinkedHashMap<String, Object>(); // Map.of has no order to rely on
        line.put("prompt", better.prompt);
        line.put("chosen", better.text.strip());
        line.put("rejected", worse.text.strip());
        lines.add(line);
      }
    }
  }

  /** The objects of {@code rows}. */
  private static List<Answer> answers(Path file) throws IOException {
    List<Answer> answers = new ArrayList<>();
    try (var in = Files.newInputStream(file);
        JsonParser json = new JsonFactory().createParser(ObjectReadContext.empty(), in)) {
      Map<String, String> fields = new LinkedHashMap<>();
      while (json.nextToken() != null) {
        if (json.currentToken() == JsonToken.START_OBJECT) {
          fields.clear();
        } else if (json.currentToken() == JsonToken.END_OBJECT && fields.containsKey("answer")) {
          answers.add(new Answer(fields.get("prompt"), fields.get("answer")));
          fields.clear();
        } else if (json.currentToken().isScalarValue()) {
          fields.put(json.currentName(), json.getString());
        }
      }
    }
    return answers;
  }
}
