// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import dev.tokamak.model.format.Metadata;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads the {@code tokenizer.json} of Hugging Face's tokenizers. Such a file is a chain of steps:
 * added tokens are cut out, each part between is normalised, split (pre_tokenizer), tokenized
 * (model), and tokens go around the whole (post_processor). Four kinds of chain are known; a file
 * with a step that its kind does not know is refused:
 *
 * <ul>
 *   <li>BPE with a pre-tokenizer ByteLevel: {@link Bpe}; {@link ByteLevelJson}
 *   <li>BPE without, made from a SentencePiece model: {@link SentencePiece}; {@link
 *       SentencePieceJson}
 *   <li>Unigram: {@link Unigram}; {@link SentencePieceJson}
 *   <li>WordPiece: {@link WordPiece}; {@link WordPieceJson}
 * </ul>
 *
 * <p>Truncation and padding are settings for batches, not part of a text's tokens; they are not
 * read. Which token ends a text the file does not say, unless one is put behind it.
 */
final class TokenizerJson {
  private static final int MOST_TOKENS = 1 << 22;

  /** The file's object. */
  final JsonValue file;

  /** Its model. */
  final JsonValue model;

  /** The metadata that it becomes. */
  final Map<String, Object> keys = new LinkedHashMap<>();

  private final List<String> tokens = new ArrayList<>();
  private final List<TokenKind> kinds = new ArrayList<>();

  private TokenizerJson(JsonValue file) {
    this.file = file;
    this.model = file.get("model");
  }

  /**
   * The file as the metadata that a GGUF file of its tokenizer has.
   *
   * @throws dev.tokamak.model.format.FormatException if the file is not sound, or wants what no
   *     tokenizer here can do
   */
  static Metadata read(byte[] bytes, String source) {
    var json = new TokenizerJson(JsonValue.parse(bytes, source));
    JsonValue type = json.model.get("type");
    switch (type.string()) {
      case "BPE" -> {
        json.vocabularyById();
        if (ByteLevelJson.isByteLevel(json.file.get("pre_tokenizer"))) {
          new ByteLevelJson(json).read();
        } else {
          new SentencePieceJson(json).readBpe();
        }
      }
      case "Unigram" -> new SentencePieceJson(json).readUnigram();
      case "WordPiece" -> {
        json.vocabularyById();
        new WordPieceJson(json).read();
      }
      default -> throw type.error("expected BPE, Unigram or WordPiece, found " + type.string());
    }
    json.addedTokens();
    PostProcessorJson.read(json);
    json.keys.put(Vocabulary.TOKENS, json.tokens);
    if (json.keys.get(SentencePiece.SCORES) instanceof float[] scores) {
      json.keys.put(SentencePiece.SCORES, Arrays.copyOf(scores, json.size()));
    }
    json.keys.put(Vocabulary.KINDS, json.kinds.stream().mapToInt(TokenKind::code).toArray());
    return Metadata.of(source, json.keys);
  }

  int size() {
    return tokens.size();
  }

  String token(int id) {
    return tokens.get(id);
  }

  TokenKind kind(int id) {
    return kinds.get(id);
  }

  /** Sets a token; ids that are never set stay empty and unused. */
  void token(int id, String text, TokenKind kind) {
    while (tokens.size() <= id) {
      tokens.add("");
      kinds.add(TokenKind.UNUSED);
    }
    tokens.set(id, text);
    kinds.set(id, kind);
  }

  /** The vocabulary of a model that gives each text an id. */
  private void vocabularyById() {
    model
        .get("vocab")
        .forEach(
            (text, value) -> {
              int id = value.index(MOST_TOKENS);
              if (id < tokens.size() && kinds.get(id) != TokenKind.UNUSED) {
                throw value.error("id " + id + " is that of '" + tokens.get(id) + "' too");
              }
              token(id, text, TokenKind.NORMAL);
            });
  }

  /** Tokens that are found in a text before anything else is done with it. */
  private void addedTokens() {
    boolean normalizes = !steps(file.get("normalizer"), "normalizers").isEmpty();
    for (JsonValue added : file.get("added_tokens").list()) {
      int id = added.get("id").index(MOST_TOKENS);
      String text = added.get("content").string();
      for (String flag : List.of("single_word", "lstrip", "rstrip")) {
        if (added.get(flag).bool(false)) {
          throw added.get(flag).error("true is not supported, for token '" + text + "'");
        }
      }
      if (normalizes && added.get("normalized").bool(false)) {
        throw added
            .get("normalized")
            .error("true is not supported beside a normalizer, for token '" + text + "'");
      }
      boolean taken = id < tokens.size() && kinds.get(id) != TokenKind.UNUSED;
      if (taken && !tokens.get(id).equals(text)) {
        throw added.error("id " + id + " is that of '" + tokens.get(id) + "' in the vocabulary");
      }
      boolean unknown = taken && kinds.get(id) == TokenKind.UNKNOWN;
      boolean special = added.get("special").bool(false);
      token(
          id,
          text,
          unknown ? TokenKind.UNKNOWN : special ? TokenKind.CONTROL : TokenKind.USER_DEFINED);
    }
  }

  /** Puts the id of a token that the file names by its text. */
  void id(String key, JsonValue name) {
    int id = tokens.indexOf(name.string());
    if (id < 0) {
      throw name.error("'" + name.string() + "' is no token");
    }
    keys.put(Tokenizer.idKey(key), id);
  }

  /** Requires a step's setting to be what the tokenizer does anyway. */
  static void require(JsonValue step, String setting, Object... allowed) {
    JsonValue value = step.get(setting);
    for (Object one : allowed) {
      if (value.isNull() ? one.equals("") || one.equals(false) : one.equals(value.value())) {
        return;
      }
    }
    throw value.error(value.isNull() ? "missing" : value.value() + " is not supported");
  }

  /** The steps of a step that may be a Sequence; none for null. */
  static List<JsonValue> steps(JsonValue step, String members) {
    if (step.isNull()) {
      return List.of();
    }
    if (!step.get("type").string().equals("Sequence")) {
      return List.of(step);
    }
    var flat = new ArrayList<JsonValue>();
    for (JsonValue member : step.get(members).list()) {
      flat.addAll(steps(member, members));
    }
    return flat;
  }
}
