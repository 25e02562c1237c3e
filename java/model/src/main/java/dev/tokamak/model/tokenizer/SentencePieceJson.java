// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import dev.tokamak.model.format.MetadataArray;
import dev.tokamak.model.format.MetadataType;
import java.util.Base64;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A {@code tokenizer.json} that was made from a SentencePiece model, BPE or Unigram. Texts are
 * tokenized as by that model, also where Hugging Face's Unigram does not: a space goes in front of
 * a text that begins with {@code ▁}, and the name of a byte token is text.
 */
final class SentencePieceJson {
  private static final String SPACE = "▁";
  private static final int MOST_TOKENS = 1 << 22;

  private final TokenizerJson json;

  SentencePieceJson(TokenizerJson json) {
    this.json = json;
  }

  /** BPE over characters; scores that make {@link SentencePiece} merge in the order of the file. */
  void readBpe() {
    JsonValue model = json.model;
    TokenizerJson.require(model, "dropout", "", 0.0);
    TokenizerJson.require(model, "continuing_subword_prefix", "");
    TokenizerJson.require(model, "end_of_word_suffix", "");
    TokenizerJson.require(model, "ignore_merges", false);
    json.keys.put(Tokenizer.MODEL, "llama");
    boolean front = spaceInFront();
    decoder(front);
    unknown(model.get("unk_token"), model.get("fuse_unk"));
    byteTokens(model.get("byte_fallback").bool(false));
    json.keys.put(SentencePiece.ADD_SPACE, front);
    json.keys.put(SentencePiece.REMOVE_SPACES, false);
    json.keys.put(SentencePiece.SCORES, scores(model.get("merges")));
  }

  /**
   * Whether a space goes in front: the normalizer writes spaces as {@code ▁} and may put one in
   * front (a pre-tokenizer that splits at spaces then finds none), or the pre-tokenizer does both.
   */
  private boolean spaceInFront() {
    List<JsonValue> steps = TokenizerJson.steps(json.file.get("normalizer"), "normalizers");
    List<JsonValue> splits = TokenizerJson.steps(json.file.get("pre_tokenizer"), "pretokenizers");
    if (steps.isEmpty() && splits.size() == 1) {
      return metaspace(splits.getFirst());
    }
    boolean front = !steps.isEmpty() && steps.getFirst().get("type").string().equals("Prepend");
    if (front) {
      TokenizerJson.require(steps.getFirst(), "prepend", SPACE);
    }
    if (steps.size() != (front ? 2 : 1)) {
      throw json.file
          .get("normalizer")
          .error("expected Replace ' ' by '▁', or Prepend '▁' before it, for a BPE model");
    }
    replacesSpaces(steps.getLast(), " ", SPACE);
    for (JsonValue step : splits) {
      TokenizerJson.require(step, "type", "Split");
      TokenizerJson.require(step.get("pattern"), "String", " ");
    }
    return front;
  }

  private boolean metaspace(JsonValue step) {
    TokenizerJson.require(step, "type", "Metaspace");
    TokenizerJson.require(step, "replacement", SPACE);
    TokenizerJson.require(step, "split", false);
    TokenizerJson.require(step, "prepend_scheme", "first", "never");
    boolean front = step.get("prepend_scheme").string().equals("first");
    if (front) {
      json.keys.put(SentencePiece.SPACE_ONCE, true);
    }
    return front;
  }

  private static void replacesSpaces(JsonValue step, String pattern, String content) {
    TokenizerJson.require(step, "type", "Replace");
    TokenizerJson.require(step.get("pattern"), "String", pattern);
    TokenizerJson.require(step, "content", content);
  }

  /** Requires the decoder to join byte tokens just where there are some. */
  private void decodesBytes(boolean decodes) {
    JsonValue fallback = json.model.get("byte_fallback");
    if (decodes != fallback.bool(false)) {
      throw json.file
          .get("decoder")
          .error(
              "expected "
                  + (decodes ? "no ByteFallback" : "ByteFallback")
                  + " where model.byte_fallback is "
                  + fallback.bool(false));
    }
  }

  private void decoder(boolean front) {
    boolean strips = false;
    boolean bytes = false;
    for (JsonValue step : TokenizerJson.steps(json.file.get("decoder"), "decoders")) {
      switch (step.get("type").string()) {
        case "Replace" -> replacesSpaces(step, SPACE, " ");
        case "ByteFallback" -> bytes = true;
        case "Fuse" -> {}
        case "Strip" -> {
          TokenizerJson.require(step, "content", " ");
          TokenizerJson.require(step, "start", 1.0);
          TokenizerJson.require(step, "stop", 0.0);
          strips = true;
        }
        default -> throw step.get("type").error(step.get("type").string() + " is not supported");
      }
    }
    decodesBytes(bytes);
    if (strips != front) {
      throw json.file
          .get("decoder")
          .error(
              front
                  ? "expected to take away the space that the normalizer puts in front"
                  : "takes a space away that the normalizer does not put in front");
    }
  }

  private void unknown(JsonValue name, JsonValue fuse) {
    if (name.isNull()) {
      return;
    }
    json.id("unknown", name);
    int id = (int) json.keys.get(Tokenizer.idKey("unknown"));
    json.token(id, name.string(), TokenKind.UNKNOWN);
    if (!fuse.isNull() && !fuse.bool(true) && !json.model.get("byte_fallback").bool(false)) {
      throw fuse.error("false is not supported: unknown characters in a row are one token");
    }
  }

  private void byteTokens(boolean fallback) {
    Set<String> names = new HashSet<>();
    for (int b = 0; b < 256; b++) {
      names.add(ByteTokens.name(b));
    }
    for (int id = 0; id < json.size(); id++) {
      if (names.remove(json.token(id)) && fallback) {
        json.token(id, json.token(id), TokenKind.BYTE);
      }
    }
    if (fallback != names.isEmpty()) {
      throw json.model
          .get("byte_fallback")
          .error(
              fallback
                  ? "true needs tokens <0x00> to <0xFF>; there are " + (256 - names.size())
                  : "false is not supported where there are tokens for bytes");
    }
  }

  /**
   * The scores that give a token the rank of the merges that make it. SentencePiece merges whatever
   * makes a token, so the file must have all such merges, those of one token together.
   */
  private float[] scores(JsonValue merges) {
    Map<String, Integer> ids = new HashMap<>();
    for (int id = 0; id < json.size(); id++) {
      if (json.kind(id) == TokenKind.NORMAL) {
        ids.put(json.token(id), id);
      }
    }
    float[] scores = new float[json.size()];
    Set<String> seen = new HashSet<>();
    List<JsonValue> places = merges.list();
    List<String> lines = ByteLevelJson.merges(merges);
    int rank = 0;
    String before = "";
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i);
      int space = line.indexOf(' ');
      String made = line.substring(0, Math.max(space, 0)) + line.substring(space + 1);
      Integer id = ids.get(made);
      if (space < 1
          || space == line.length() - 1
          || id == null
          || !ids.containsKey(line.substring(0, space))
          || !ids.containsKey(line.substring(space + 1))) {
        throw places.get(i).error("expected two tokens that make a third, found '" + line + "'");
      }
      if (!made.equals(before)) {
        if (scores[id] != 0) {
          throw places.get(i).error("'" + made + "' was made before; " + notSentencePiece());
        }
        scores[id] = -(++rank);
        before = made;
      }
      seen.add(line);
    }
    for (var token : ids.entrySet()) {
      String text = token.getKey();
      for (int at = 1; at < text.length(); at++) {
        String left = text.substring(0, at);
        String right = text.substring(at);
        if (ids.containsKey(left) && ids.containsKey(right) && !seen.contains(left + " " + right)) {
          throw merges.error("'" + left + " " + right + "' is missing; " + notSentencePiece());
        }
      }
    }
    return scores;
  }

  private static String notSentencePiece() {
    return "only the merges of a SentencePiece model are supported without a byte-level"
        + " pre-tokenizer";
  }

  void readUnigram() {
    JsonValue model = json.model;
    List<JsonValue> vocabulary = model.get("vocab").list();
    if (vocabulary.size() > MOST_TOKENS) {
      throw model.get("vocab").error("more than " + MOST_TOKENS + " tokens");
    }
    float[] scores = new float[vocabulary.size()];
    for (int id = 0; id < scores.length; id++) {
      List<JsonValue> pair = vocabulary.get(id).list();
      if (pair.size() != 2) {
        throw vocabulary.get(id).error("expected a token and its score");
      }
      json.token(id, pair.get(0).string(), TokenKind.NORMAL);
      scores[id] = (float) pair.get(1).number();
    }
    json.keys.put(Tokenizer.MODEL, "t5");
    if (model.get("unk_id").isNull()) {
      throw model.get("unk_id").error("missing: a model without an unknown token is not supported");
    }
    int unknown = model.get("unk_id").index(json.size());
    json.token(unknown, json.token(unknown), TokenKind.UNKNOWN);
    json.keys.put(Tokenizer.idKey("unknown"), unknown);
    byteTokens(model.get("byte_fallback").bool(false));
    boolean removes = unigramNormalizer();
    removes |= unigramSplit(removes);
    json.keys.put(SentencePiece.ADD_SPACE, true);
    json.keys.put(SentencePiece.REMOVE_SPACES, removes);
    boolean bytes = false;
    for (JsonValue step : TokenizerJson.steps(json.file.get("decoder"), "decoders")) {
      TokenizerJson.require(step, "type", "Metaspace", "ByteFallback", "Fuse");
      bytes |= step.get("type").string().equals("ByteFallback");
    }
    decodesBytes(bytes);
    json.keys.put(SentencePiece.SCORES, scores);
  }

  /** Reads the table of replacements; whether extra spaces go. */
  private boolean unigramNormalizer() {
    boolean removes = false;
    for (JsonValue step : TokenizerJson.steps(json.file.get("normalizer"), "normalizers")) {
      switch (step.get("type").string()) {
        case "Precompiled" -> charsMap(step.get("precompiled_charsmap"));
        case "Strip" -> TokenizerJson.require(step, "strip_right", true);
        case "Replace" -> {
          TokenizerJson.require(step.get("pattern"), "Regex", " {2,}");
          TokenizerJson.require(step, "content", " ", SPACE);
          removes = true;
        }
        default -> throw step.get("type").error(step.get("type").string() + " is not supported");
      }
    }
    return removes;
  }

  private void charsMap(JsonValue encoded) {
    byte[] map;
    try {
      map = Base64.getDecoder().decode(encoded.string());
    } catch (IllegalArgumentException e) {
      throw encoded.error("not valid base64: " + e.getMessage());
    }
    json.keys.put(
        SentencePiece.CHARS_MAP, MetadataArray.packed(MetadataType.UINT8, map.length, map));
  }

  /** Reads how spaces are written; whether extra spaces go. */
  private boolean unigramSplit(boolean removes) {
    JsonValue preTokenizer = json.file.get("pre_tokenizer");
    boolean splits = false;
    boolean metaspace = false;
    for (JsonValue step : TokenizerJson.steps(preTokenizer, "pretokenizers")) {
      switch (step.get("type").string()) {
        case "WhitespaceSplit" -> splits = true;
        case "Metaspace" -> {
          TokenizerJson.require(step, "replacement", SPACE);
          if (step.get("prepend_scheme").isNull()) {
            TokenizerJson.require(step, "add_prefix_space", true);
          } else {
            TokenizerJson.require(step, "prepend_scheme", "always");
          }
          metaspace = true;
        }
        default -> throw step.get("type").error(step.get("type").string() + " is not supported");
      }
    }
    if (!metaspace || !splits && !removes) {
      throw preTokenizer.error(
          "expected Metaspace, with WhitespaceSplit or a normalizer that makes many spaces one");
    }
    return splits;
  }
}
