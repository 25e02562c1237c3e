// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import dev.tokamak.model.format.Metadata;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.zip.GZIPInputStream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Hugging Face's tokenizer.json of a byte-level BPE as the metadata that a GGUF file of the model
 * would have: the vectors made from such files test the same tokenizer.
 */
final class TokenizerJson {
  private TokenizerJson() {}

  static Metadata metadata(Path file, String pre) throws IOException {
    JsonNode json = read(file);
    JsonNode vocabulary = json.get("model").get("vocab");
    int size = 0;
    for (var entry : vocabulary.properties()) {
      size = Math.max(size, entry.getValue().asInt() + 1);
    }
    for (JsonNode added : json.get("added_tokens")) {
      size = Math.max(size, added.get("id").asInt() + 1);
    }
    String[] tokens = new String[size];
    int[] kinds = new int[size];
    Arrays.fill(tokens, "");
    Arrays.fill(kinds, TokenKind.UNUSED.code());
    for (var entry : vocabulary.properties()) {
      tokens[entry.getValue().asInt()] = entry.getKey();
      kinds[entry.getValue().asInt()] = TokenKind.NORMAL.code();
    }
    for (JsonNode added : json.get("added_tokens")) {
      int id = added.get("id").asInt();
      boolean special = added.get("special").asBoolean();
      tokens[id] = added.get("content").asString();
      kinds[id] = (special ? TokenKind.CONTROL : TokenKind.USER_DEFINED).code();
    }
    List<String> merges = new ArrayList<>();
    for (JsonNode merge : json.get("model").get("merges")) {
      merges.add(
          merge.isArray()
              ? merge.get(0).asString() + " " + merge.get(1).asString()
              : merge.asString());
    }
    var keys = new LinkedHashMap<String, Object>();
    keys.put("tokenizer.ggml.model", "gpt2");
    keys.put("tokenizer.ggml.pre", pre);
    keys.put("tokenizer.ggml.tokens", tokens);
    keys.put("tokenizer.ggml.token_type", kinds);
    keys.put("tokenizer.ggml.merges", merges);
    return Metadata.of(file.getFileName().toString(), keys);
  }

  /** A JSON file, gzipped or not by its name. */
  static JsonNode read(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      return new JsonMapper()
          .readTree(file.toString().endsWith(".gz") ? new GZIPInputStream(in) : in);
    }
  }
}
