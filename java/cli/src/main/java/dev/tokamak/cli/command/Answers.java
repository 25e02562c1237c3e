// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Json;
import dev.tokamak.generate.Capacity;
import dev.tokamak.generate.Choice;
import dev.tokamak.generate.Event;
import dev.tokamak.generate.GenerateOptions;
import dev.tokamak.generate.Receipt;
import dev.tokamak.model.Model;
import dev.tokamak.model.tokenizer.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import tools.jackson.core.JsonGenerator;

/** The JSON fields of a generation, for all that one model answers. */
final class Answers {
  private final String name;
  private final Model model;
  private final Capacity capacity;
  private Optional<String> modelSha256 = Optional.empty();

  Answers(String name, Model model, Capacity capacity) {
    this.name = name;
    this.model = model;
    this.capacity = capacity;
  }

  /** The text that a token stands for; of part of a character, U+FFFD. */
  static String text(Tokenizer tokenizer, int id) {
    // A model may have rows of logits beyond its vocabulary.
    return id < tokenizer.vocabularySize()
        ? new String(tokenizer.bytes(id), StandardCharsets.UTF_8)
        : "";
  }

  /** The receipt, if a hash of logits was asked for. */
  Optional<Receipt> receipt(Event.Finished answer, GenerateOptions options) {
    return answer
        .logitsSha256()
        .map(
            logits -> {
              // Read once, however many receipts there are.
              modelSha256 = modelSha256.or(() -> Optional.of(model.file().gguf().sha256()));
              return new Receipt(
                  modelSha256.get(), Receipt.settings(model, capacity, options), logits);
            });
  }

  void write(JsonGenerator json, Event.Finished answer, GenerateOptions options) {
    json.writeStringProperty("model", name);
    json.writeStringProperty("backend", model.backend().backend().name());
    Json.ints(
        json, "prompt_tokens", answer.prompt().stream().mapToInt(Integer::intValue).toArray());
    Json.ints(json, "tokens", answer.tokens().stream().mapToInt(Event.Token::id).toArray());
    json.writeStringProperty("text", answer.text());
    json.writeStringProperty("finish_reason", answer.reason().label());
    if (options.logprobs().isPresent()) {
      writeLogprobs(json, answer.tokens());
    }
    Event.Timings timings = answer.timings();
    json.writeObjectPropertyStart("timings");
    Json.number(json, "load_s", model.loadSeconds());
    Json.number(json, "prefill_tok_s", timings.prefillTokensPerSecond());
    Json.number(json, "decode_tok_s", timings.decodeTokensPerSecond());
    Json.number(json, "ttft_ms", timings.firstTokenMillis());
    json.writeEndObject();
    receipt(answer, options)
        .ifPresent(
            receipt -> {
              json.writeObjectPropertyStart("receipt");
              json.writeStringProperty("model_sha256", receipt.modelSha256());
              json.writeStringProperty("settings", receipt.settings());
              json.writeStringProperty("logits_sha256", receipt.logitsSha256());
              json.writeEndObject();
            });
  }

  private void writeLogprobs(JsonGenerator json, List<Event.Token> tokens) {
    json.writeArrayPropertyStart("logprobs");
    for (Event.Token token : tokens) {
      Event.Logprobs logprobs = token.logprobs().orElseThrow();
      json.writeStartObject();
      writeChoice(json, logprobs.chosen());
      json.writeArrayPropertyStart("top");
      for (Choice choice : logprobs.top()) {
        json.writeStartObject();
        writeChoice(json, choice);
        json.writeEndObject();
      }
      json.writeEndArray();
      json.writeEndObject();
    }
    json.writeEndArray();
  }

  private void writeChoice(JsonGenerator json, Choice choice) {
    json.writeNumberProperty("token", choice.id());
    json.writeStringProperty("text", text(model.tokenizer(), choice.id()));
    json.writeNumberProperty("logprob", choice.logProbability());
  }
}
