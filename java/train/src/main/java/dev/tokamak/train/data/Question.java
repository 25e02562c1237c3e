// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import dev.tokamak.generate.verify.Verifier;
import dev.tokamak.model.chat.Message;
import dev.tokamak.model.format.FormatException;
import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * A question whose answer code can judge: for evaluation, and for rewards.
 *
 * @param prompt as the line has it, where it has one
 * @param messages the conversation to answer: that of the line, or the prompt as what a user says,
 *     behind the line's {@code system}
 * @param rule that the answer must satisfy
 */
public record Question(Optional<String> prompt, List<Message> messages, Verifier rule) {
  /** What is asked, for reports. */
  public String text() {
    return prompt.orElseGet(() -> messages.getLast().content().orElse(""));
  }

  /**
   * Reads the questions of JSON lines: {@code prompt} or {@code messages}, an answer at whose end is
   * left out, and a rule: {@code words} (or {@code contains}), {@code pattern}, {@code number} or
   * {@code exact}.
   *
   * @throws FormatException that names the first line that has none of these, or the file if it has
   *     no line
   */
  public static List<Question> read(Path file) {
    return read(file, Question::rule);
  }

  /** The same, with one rule for all of them. */
  public static List<Question> read(Path file, Verifier rule) {
    return read(file, _ -> rule);
  }

  private static List<Question> read(Path file, Function<JsonObject, Verifier> rule) {
    List<Question> questions = new ArrayList<>();
    try (var lines = new TextLines(file)) {
      for (var line = lines.next(); line.isPresent(); line = lines.next()) {
        JsonObject object = JsonObject.parse(lines.place(), line.get());
        questions.add(
            object.has("messages")
                ? new Question(Optional.empty(), conversation(object), rule.apply(object))
                : new Question(object.optionalText("prompt"), asked(object), rule.apply(object)));
      }
    }
    if (questions.isEmpty()) {
      throw new FormatException(file + ": expected at least one question, found none");
    }
    return questions;
  }

  private static List<Message> asked(JsonObject line) {
    List<Message> messages = new ArrayList<>();
    line.optionalText("system").ifPresent(text -> messages.add(Message.of("system", text)));
    String prompt =
        line.optionalText("prompt")
            .orElseThrow(
                () ->
                    line.wrong(
                        "no question: expected \"prompt\" or \"messages\"; found " + line.names()));
    messages.add(Message.of("user", prompt));
    return List.copyOf(messages);
  }

  /** A conversation up to what the assistant is to say. */
  private static List<Message> conversation(JsonObject line) {
    List<Message> messages =
        make(line, "", () -> Message.list(line.fields().get("messages")));
    boolean answered = messages.getLast().role().equals("assistant");
    if (answered && messages.size() == 1) {
      throw line.wrong("messages: expected a question before the answer");
    }
    return answered ? messages.subList(0, messages.size() - 1) : messages;
  }

  private static Verifier rule(JsonObject line) {
    for (String name : List.of("words", "contains")) {
      if (line.has(name)) {
        List<String> texts = texts(line, name);
        return make(line, "", () -> new Verifier.Contains(texts));
      }
    }
    if (line.has("pattern")) {
      return make(
          line, "pattern: ", () -> new Verifier.Matches(Pattern.compile(line.text("pattern"))));
    }
    if (line.has("number")) {
      String number = String.valueOf(line.fields().get("number"));
      return make(line, "number: ", () -> new Verifier.Number(decimal(number)));
    }
    if (line.has("exact")) {
      return new Verifier.Exact(line.text("exact"));
    }
    throw line.wrong("expected a rule: words, pattern, number or exact; found " + line.names());
  }

  private static List<String> texts(JsonObject line, String name) {
    List<?> values = line.list(name);
    if (!values.stream().allMatch(value -> value instanceof String text && !text.isBlank())) {
      throw line.wrong(name + ": expected texts");
    }
    return values.stream().map(String.class::cast).toList();
  }

  private static BigDecimal decimal(String text) {
    try {
      return new BigDecimal(text);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException("expected a number, found '" + text + "'", e);
    }
  }

  /** A value made of a line, its problem named by the line and the field. */
  private static <T> T make(JsonObject line, String field, Supplier<T> value) {
    try {
      return value.get();
    } catch (PatternSyntaxException e) {
      throw line.wrong(field + e.getDescription() + " at " + e.getIndex());
    } catch (IllegalArgumentException e) {
      throw line.wrong(field + e.getMessage());
    }
  }
}
