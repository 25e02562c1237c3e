// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import dev.tokamak.model.format.Metadata;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Builds the metadata of small vocabularies. */
final class Vocabularies {
  private final Map<String, Object> keys = new LinkedHashMap<>();
  private final List<String> tokens = new ArrayList<>();
  private final List<Integer> kinds = new ArrayList<>();
  private final List<Float> scores = new ArrayList<>();
  private final List<String> merges = new ArrayList<>();

  /**
   * @param model {@code llama} or {@code gpt2}
   */
  Vocabularies(String model) {
    keys.put("tokenizer.ggml.model", model);
  }

  Vocabularies key(String key, Object value) {
    keys.put("tokenizer.ggml." + key, value);
    return this;
  }

  Vocabularies token(String text, TokenKind kind, double score) {
    tokens.add(text);
    kinds.add(kind.code());
    scores.add((float) score);
    return this;
  }

  Vocabularies merge(String left, String right) {
    merges.add(left + " " + right);
    return this;
  }

  /** The tokens {@code <unk>}, {@code <s>}, {@code </s>}, then {@code <0x00>} to {@code <0xFF>}. */
  Vocabularies sentencePieceStart() {
    token("<unk>", TokenKind.UNKNOWN, 0);
    token("<s>", TokenKind.CONTROL, 0);
    token("</s>", TokenKind.CONTROL, 0);
    for (int b = 0; b < 256; b++) {
      token(String.format("<0x%02X>", b), TokenKind.BYTE, 0);
    }
    return this;
  }

  /** The 256 tokens of byte-level BPE, the token of a byte at the byte's place. */
  Vocabularies byteLevelStart() {
    char other = 0x100;
    for (int b = 0; b < 256; b++) {
      boolean visible = b > 0x20 && b < 0x7f || b > 0xa0 && b != 0xad;
      token(String.valueOf(visible ? (char) b : other++), TokenKind.NORMAL, 0);
    }
    return this;
  }

  int size() {
    return tokens.size();
  }

  List<String> tokens() {
    return tokens;
  }

  Metadata metadata() {
    var all = new LinkedHashMap<>(keys);
    all.put("tokenizer.ggml.tokens", List.copyOf(tokens));
    all.put("tokenizer.ggml.token_type", kinds.stream().mapToInt(i -> i).toArray());
    if (keys.get("tokenizer.ggml.model").equals("gpt2")) {
      all.put("tokenizer.ggml.merges", List.copyOf(merges));
    } else {
      float[] numbers = new float[scores.size()];
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = scores.get(i);
      }
      all.put("tokenizer.ggml.scores", numbers);
    }
    return Metadata.of("made-up.gguf", all);
  }

  Tokenizer tokenizer() {
    return Tokenizer.of(metadata());
  }

  /** SentencePiece with the characters and a few joined pieces of a small English text. */
  static Tokenizer sentencePiece() {
    var made = new Vocabularies("llama").sentencePieceStart();
    for (String piece : "▁ t h e a s ▁t he ▁the ▁a ab b bb ▁▁ ▁▁▁▁ é 😀".split(" ")) {
      made.token(piece, TokenKind.NORMAL, -made.size());
    }
    return made.token("<|end|>", TokenKind.CONTROL, 0).tokenizer();
  }

  /** Byte-level BPE with a few merges, split as {@code pre} says. */
  static Tokenizer byteLevel(String pre) {
    var made = new Vocabularies("gpt2").byteLevelStart().key("pre", pre);
    for (String pair :
        List.of(
            "t h", "th e", "Ġ the", "Ġ Ġ", "ĠĠ ĠĠ", "a b", "b b", "Ã ©", "ð Ł", "ðŁ ĺ", "1 2")) {
      String[] parts = pair.split(" ");
      made.token(parts[0] + parts[1], TokenKind.NORMAL, 0).merge(parts[0], parts[1]);
    }
    return made.token("<|im_end|>", TokenKind.CONTROL, 0)
        .key("eos_token_id", made.size() - 1)
        .key("bos_token_id", made.size() - 1)
        .tokenizer();
  }
}
