// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.report;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.tokamak.cli.Failure;
import dev.tokamak.cli.Json;
import dev.tokamak.train.TrainEvent;
import dev.tokamak.train.TrainEvent.Sampled;
import dev.tokamak.train.TrainEvent.Step;
import dev.tokamak.train.TrainEvent.Validated;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Consumer;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * The file {@code metrics.jsonl} of a training, an object a line: for each step {@code step, loss,
 * lr, gradient_norm, tokens, seconds, tokens_per_second} and the stage's measures; for a look at
 * held-out data {@code step, valid_loss, valid_bits_per_byte}; for a sample {@code step, prompt,
 * sample}. When a training is resumed, lines of steps that will be done again are taken out.
 */
public final class Metrics implements AutoCloseable {
  private static final List<String> OF_A_STEP =
      List.of(
          "step", "loss", "lr", "gradient_norm", "tokens", "seconds", "tokens_per_second");
  private static final List<String> OF_A_LOOK =
      List.of("step", "valid_loss", "valid_bits_per_byte");

  private final Path file;
  private final TrainLog log;
  private OutputStream out = OutputStream.nullOutputStream();

  /**
   * @param log is given what was kept of a training that is resumed
   */
  public Metrics(Path file, TrainLog log) {
    this.file = file;
    this.log = log;
  }

  /** Writes what belongs into the file. */
  public void accept(TrainEvent event) {
    switch (event) {
      case TrainEvent.Started e -> start(e.resumedAt());
      case Step e -> line(json -> step(json, e));
      case Validated e -> line(json -> look(json, e));
      case Sampled e ->
          line(
              json -> {
                json.writeNumberProperty("step", e.step());
                json.writeStringProperty("prompt", e.prompt());
                json.writeStringProperty("sample", e.text());
              });
      case TrainEvent.Saved _, TrainEvent.Warned _, TrainEvent.Finished _ -> {}
    }
  }

  /** The fields of a step's line. */
  public static void step(JsonGenerator json, Step step) {
    json.writeNumberProperty("step", step.step());
    Json.number(json, "loss", step.loss());
    Json.number(json, "lr", step.learningRate());
    Json.number(json, "gradient_norm", step.gradientNorm());
    json.writeNumberProperty("tokens", step.tokens());
    Json.number(json, "seconds", step.seconds());
    Json.number(json, "tokens_per_second", step.tokensPerSecond());
    step.measures().forEach((name, value) -> Json.number(json, name, value));
  }

  /** The fields of a line for a look at held-out data. */
  public static void look(JsonGenerator json, Validated look) {
    json.writeNumberProperty("step", look.step());
    Json.number(json, "valid_loss", look.loss());
    look.bitsPerByte().ifPresent(bits -> Json.number(json, "valid_bits_per_byte", bits));
    look.measures().forEach((name, value) -> Json.number(json, name, value));
  }

  private void line(Consumer<JsonGenerator> fields) {
    Json.line(out, fields);
  }

  private void start(long resumedAt) {
    try {
      Files.createDirectories(file.toAbsolutePath().getParent());
      var kept = new StringBuilder();
      if (resumedAt > 0 && Files.exists(file)) {
        // What is not UTF-8 becomes a line that is no event.
        for (String line : new String(Files.readAllBytes(file), UTF_8).lines().toList()) {
          Optional<TrainEvent> event = read(line).filter(e -> stepOf(e) <= resumedAt);
          event.ifPresent(
              e -> {
                log.accept(e);
                kept.append(line).append('\n');
              });
        }
      }
      Path next = file.resolveSibling(file.getFileName() + ".unfinished");
      Files.writeString(next, kept);
      Files.move(
          next, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      out = Files.newOutputStream(file, StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw new Failure(file + ": cannot be written: " + Failure.line(e), e);
    }
  }

  private static long stepOf(TrainEvent event) {
    return switch (event) {
      case Step e -> e.step();
      case Validated e -> e.step();
      case Sampled e -> e.step();
      default -> 0;
    };
  }

  /** An event of a line; empty where a line broke off, or is of something else. */
  private static Optional<TrainEvent> read(String line) {
    Map<String, Double> numbers = new LinkedHashMap<>();
    Map<String, String> texts = new LinkedHashMap<>();
    try (JsonParser parser = Json.parser(line)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        return Optional.empty();
      }
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        String name = parser.currentName();
        switch (parser.nextToken()) {
          case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> numbers.put(name, parser.getDoubleValue());
          case VALUE_STRING -> texts.put(name, parser.getString());
          case VALUE_NULL -> numbers.put(name, Double.NaN);
          default -> {
            return Optional.empty();
          }
        }
      }
    } catch (JacksonException _) {
      return Optional.empty();
    }
    if (!numbers.containsKey("step")) {
      return Optional.empty();
    }
    long step = numbers.get("step").longValue();
    if (texts.containsKey("sample")) {
      return Optional.of(
          new Sampled(step, texts.getOrDefault("prompt", ""), texts.get("sample")));
    }
    if (numbers.containsKey("valid_loss")) {
      Double bits = numbers.get("valid_bits_per_byte");
      return Optional.of(
          new Validated(
              step,
              numbers.get("valid_loss"),
              bits == null ? OptionalDouble.empty() : OptionalDouble.of(bits),
              without(numbers, OF_A_LOOK)));
    }
    if (!numbers.keySet().containsAll(OF_A_STEP)) {
      return Optional.empty();
    }
    return Optional.of(
        new Step(
            step,
            numbers.get("loss"),
            numbers.get("lr"),
            numbers.get("gradient_norm"),
            numbers.get("tokens").longValue(),
            numbers.get("seconds"),
            without(numbers, OF_A_STEP)));
  }

  private static Map<String, Double> without(Map<String, Double> numbers, List<String> names) {
    Map<String, Double> rest = new LinkedHashMap<>(numbers);
    rest.keySet().removeAll(names);
    return rest;
  }

  @Override
  public void close() {
    try {
      out.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
