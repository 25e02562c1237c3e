// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import dev.tokamak.model.format.Metadata;
import java.util.List;
import java.util.Map;

/**
 * Reads the {@code tokenizer_config.json} that may lie beside a {@code tokenizer.json}: which token
 * begins a text, ends it and pads, and the chat template. All else in it says how another library
 * is to be set up.
 */
final class TokenizerConfig {
  private static final String CHAT_TEMPLATE = "chat_template";

  /** What GGUF calls the roles of tokens. */
  private static final List<Map.Entry<String, String>> ROLES =
      List.of(
          Map.entry("bos_token", "bos"),
          Map.entry("eos_token", "eos"),
          Map.entry("pad_token", "padding"));

  private TokenizerConfig() {}

  /**
   * The metadata of a {@code tokenizer.json} with what it leaves open.
   *
   * @throws dev.tokamak.model.format.FormatException if the file is no JSON object, or names a
   *     token that is none
   */
  static Metadata add(Metadata tokenizer, byte[] file, String source) {
    JsonValue config = JsonValue.parse(file, source);
    List<String> tokens = tokenizer.requireStrings(Vocabulary.TOKENS);
    Metadata all = tokenizer;
    for (var role : ROLES) {
      JsonValue named = config.get(role.getKey());
      JsonValue name = named.value() instanceof Map<?, ?> ? named.get("content") : named;
      String key = Tokenizer.idKey(role.getValue());
      if (!name.isNull() && !all.has(key)) {
        int id = tokens.indexOf(name.string());
        if (id < 0) {
          throw name.error("'" + name.string() + "' is no token");
        }
        all = all.with(key, id);
      }
    }
    JsonValue template = config.get(CHAT_TEMPLATE);
    return template.value() instanceof String text
        ? all.with("tokenizer." + CHAT_TEMPLATE, text)
        : all;
  }
}
