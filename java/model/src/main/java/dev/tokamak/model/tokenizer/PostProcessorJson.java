// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import java.util.List;

/**
 * What a {@code tokenizer.json} puts around a text: at most one token in front and one behind. A
 * byte-level post-processor moves offsets only.
 */
final class PostProcessorJson {
  private PostProcessorJson() {}

  static void read(TokenizerJson json) {
    json.keys.put(Tokenizer.addKey("bos"), false);
    json.keys.put(Tokenizer.addKey("eos"), false);
    for (JsonValue step : TokenizerJson.steps(json.file.get("post_processor"), "processors")) {
      JsonValue type = step.get("type");
      switch (type.string()) {
        case "ByteLevel" -> {}
        case "TemplateProcessing" -> template(json, step);
        case "BertProcessing", "RobertaProcessing" -> {
          put(json, "bos", name(step.get("cls")));
          put(json, "eos", name(step.get("sep")));
        }
        default -> throw type.error(type.string() + " is not supported");
      }
    }
  }

  private static void template(TokenizerJson json, JsonValue step) {
    List<JsonValue> parts = step.get("single").list();
    int text = 0;
    while (text < parts.size() && parts.get(text).get("Sequence").isNull()) {
      text++;
    }
    if (text == parts.size() || text > 1 || parts.size() - text > 2) {
      throw step.get("single").error("expected the text with at most one token on each side");
    }
    if (text == 1) {
      put(json, "bos", parts.getFirst().get("SpecialToken").get("id"));
    }
    if (text + 1 < parts.size()) {
      put(json, "eos", parts.getLast().get("SpecialToken").get("id"));
    }
  }

  /** The text of a pair of text and id. */
  private static JsonValue name(JsonValue pair) {
    if (pair.list().size() != 2) {
      throw pair.error("expected a token and its id");
    }
    return pair.list().getFirst();
  }

  private static void put(TokenizerJson json, String name, JsonValue token) {
    json.id(name, token);
    json.keys.put(Tokenizer.addKey(name), true);
  }
}
