// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.format.MetadataArray;
import dev.tokamak.model.format.MetadataType;
import java.nio.charset.CharacterCodingException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;

/**
 * Reads SentencePiece's {@code .model} file, a protocol buffer of these fields ({@code
 * sentencepiece_model.proto}; others are passed over):
 *
 * <table>
 * <caption>Fields that are read</caption>
 * <tr><th>field</th><th>meaning</th></tr>
 * <tr><td>1</td><td>a piece: 1 text, 2 score (float), 3 kind ({@link TokenKind#code}, left out:
 *     normal)</td></tr>
 * <tr><td>2</td><td>trainer: 3 model (1 Unigram, 2 BPE), 24 spaces as suffixes, 40 to 43 ids of
 *     unknown, begin, end and padding</td></tr>
 * <tr><td>3</td><td>normaliser: 2 table of replacements, 3 space in front, 4 extra spaces removed,
 *     5 spaces written {@code ▁}</td></tr>
 * <tr><td>5</td><td>denormaliser: 2 table of replacements</td></tr>
 * </table>
 *
 * <p>The file does not say whether a text begins with BOS: the library adds none, and so it is here
 * for Unigram; a BPE model takes it as llama.cpp's {@code llama} vocabularies do.
 */
final class SentencePieceFile {
  private static final int UNIGRAM = 1;
  private static final int BPE = 2;
  private static final int MOST_PIECES = 1 << 22;

  private final String source;
  private final List<String> tokens = new ArrayList<>();
  private float[] scores = new float[1 << 10];
  private int[] kinds = new int[1 << 10];
  private long model = UNIGRAM;
  private long unknown = 0;
  private long bos = 1;
  private long eos = 2;
  private long padding = -1;
  private boolean spaceBehind;
  private byte[] charsMap = {};
  private boolean addSpace = true;
  private boolean removeSpaces = true;
  private boolean escapeSpaces = true;

  private SentencePieceFile(String source) {
    this.source = source;
  }

  /**
   * The file as the metadata that a GGUF file of its tokenizer has.
   *
   * @throws FormatException if it is no such file, or wants what no tokenizer here can do
   */
  static Metadata read(byte[] file, String source) {
    var made = new SentencePieceFile(source);
    made.file(new ProtoReader(file, source));
    return made.metadata();
  }

  private void file(ProtoReader in) {
    while (in.next()) {
      switch (in.field()) {
        case 1 -> piece(in.message("pieces[" + tokens.size() + "]"));
        case 2 -> trainer(in.message("trainer_spec"));
        case 3 -> normalizer(in.message("normalizer_spec"));
        case 5 -> denormalizer(in.message("denormalizer_spec"));
        default -> in.skip();
      }
    }
  }

  private void piece(ProtoReader in) {
    int id = tokens.size();
    if (id == MOST_PIECES) {
      throw in.error("more than " + MOST_PIECES + " pieces");
    }
    if (id == scores.length) {
      scores = Arrays.copyOf(scores, 2 * id);
      kinds = Arrays.copyOf(kinds, 2 * id);
    }
    String text = "";
    kinds[id] = TokenKind.NORMAL.code();
    while (in.next()) {
      switch (in.field()) {
        case 1 -> text = text(in);
        case 2 -> scores[id] = in.float32();
        case 3 -> kinds[id] = (int) in.integer();
        default -> in.skip();
      }
    }
    tokens.add(text);
  }

  private static String text(ProtoReader in) {
    byte[] utf8 = in.bytes();
    try {
      return MetadataArray.utf8(utf8, 0, utf8.length);
    } catch (CharacterCodingException e) {
      throw in.error("a piece that is not valid UTF-8");
    }
  }

  private void trainer(ProtoReader in) {
    while (in.next()) {
      switch (in.field()) {
        case 3 -> model = in.integer();
        case 24 -> spaceBehind = in.integer() != 0;
        case 40 -> unknown = in.integer();
        case 41 -> bos = in.integer();
        case 42 -> eos = in.integer();
        case 43 -> padding = in.integer();
        default -> in.skip();
      }
    }
  }

  private void normalizer(ProtoReader in) {
    while (in.next()) {
      switch (in.field()) {
        case 2 -> charsMap = in.bytes();
        case 3 -> addSpace = in.integer() != 0;
        case 4 -> removeSpaces = in.integer() != 0;
        case 5 -> escapeSpaces = in.integer() != 0;
        default -> in.skip();
      }
    }
  }

  private static void denormalizer(ProtoReader in) {
    while (in.next()) {
      if (in.field() == 2 && in.bytes().length > 0) {
        throw in.error("precompiled_charsmap: texts changed in decoding are not supported");
      } else if (in.field() != 2) {
        in.skip();
      }
    }
  }

  private Metadata metadata() {
    if (tokens.isEmpty()) {
      throw new FormatException(source + ": pieces: there are none");
    }
    if (model != UNIGRAM && model != BPE) {
      throw FormatException.at(
          source, "trainer_spec.model_type", "expected 1 (Unigram) or 2 (BPE), found " + model);
    }
    if (spaceBehind) {
      throw FormatException.at(
          source, "trainer_spec.treat_whitespace_as_suffix", "true is not supported");
    }
    if (!escapeSpaces) {
      throw FormatException.at(
          source, "normalizer_spec.escape_whitespaces", "false is not supported");
    }
    var keys = new LinkedHashMap<String, Object>();
    keys.put(Tokenizer.MODEL, model == UNIGRAM ? "t5" : "llama");
    keys.put(Vocabulary.TOKENS, tokens);
    keys.put(SentencePiece.SCORES, Arrays.copyOf(scores, tokens.size()));
    keys.put(Vocabulary.KINDS, Arrays.copyOf(kinds, tokens.size()));
    id(keys, "bos", bos);
    id(keys, "eos", eos);
    id(keys, "unknown", unknown);
    id(keys, "padding", padding);
    if (model == UNIGRAM || bos < 0) {
      keys.put(Tokenizer.addKey("bos"), false);
    }
    keys.put(Tokenizer.addKey("eos"), false);
    keys.put(SentencePiece.ADD_SPACE, addSpace);
    keys.put(SentencePiece.REMOVE_SPACES, removeSpaces);
    if (charsMap.length > 0) {
      keys.put(
          SentencePiece.CHARS_MAP,
          MetadataArray.packed(MetadataType.UINT8, charsMap.length, charsMap));
    }
    return Metadata.of(source, keys);
  }

  /** An id of -1 says that there is no such token. */
  private static void id(LinkedHashMap<String, Object> keys, String name, long id) {
    if (id != -1) {
      keys.put(Tokenizer.idKey(name), Math.clamp(id, Integer.MIN_VALUE, Integer.MAX_VALUE));
    }
  }
}
