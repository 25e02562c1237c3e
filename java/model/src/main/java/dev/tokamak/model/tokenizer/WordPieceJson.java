// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import java.util.HashSet;
import java.util.Set;

/** A {@code tokenizer.json} of BERT's WordPiece. */
final class WordPieceJson {
  private static final String INSIDE = "##";

  private final TokenizerJson json;

  WordPieceJson(TokenizerJson json) {
    this.json = json;
  }

  void read() {
    JsonValue model = json.model;
    TokenizerJson.require(model, "continuing_subword_prefix", INSIDE);
    TokenizerJson.require(model, "max_input_chars_per_word", (double) WordPiece.LONGEST_WORD);
    JsonValue normalizer = json.file.get("normalizer");
    TokenizerJson.require(normalizer, "type", "BertNormalizer");
    TokenizerJson.require(normalizer, "clean_text", true);
    TokenizerJson.require(normalizer, "handle_chinese_chars", true);
    boolean lowercase = normalizer.get("lowercase").bool(true);
    if (normalizer.get("strip_accents").bool(lowercase) != lowercase) {
      throw normalizer
          .get("strip_accents")
          .error(!lowercase + " is not supported where lowercase is " + lowercase);
    }
    TokenizerJson.require(json.file.get("pre_tokenizer"), "type", "BertPreTokenizer");
    JsonValue decoder = json.file.get("decoder");
    TokenizerJson.require(decoder, "type", "WordPiece");
    TokenizerJson.require(decoder, "prefix", INSIDE);
    TokenizerJson.require(decoder, "cleanup", true);
    json.keys.put(Tokenizer.MODEL, "bert");
    json.keys.put(WordPiece.LOWERCASE, lowercase);
    JsonValue unknown = model.get("unk_token");
    json.id("unknown", unknown);
    rewrite();
    json.token(
        (int) json.keys.get(Tokenizer.idKey("unknown")), unknown.string(), TokenKind.UNKNOWN);
  }

  /** GGUF files mark the pieces that begin a word, not those inside one. */
  private void rewrite() {
    Set<String> added = new HashSet<>();
    for (JsonValue token : json.file.get("added_tokens").list()) {
      added.add(token.get("content").string());
    }
    for (int id = 0; id < json.size(); id++) {
      String text = json.token(id);
      if (json.kind(id) == TokenKind.NORMAL && !added.contains(text)) {
        boolean inside = text.startsWith(INSIDE) && text.length() > INSIDE.length();
        json.token(
            id, inside ? text.substring(INSIDE.length()) : WordPiece.WORD + text, TokenKind.NORMAL);
      }
    }
  }
}
