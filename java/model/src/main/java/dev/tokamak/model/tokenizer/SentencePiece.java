// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import dev.tokamak.model.format.Metadata;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * SentencePiece's BPE ({@code tokenizer.ggml.model = llama}): a text is its characters, spaces
 * written {@code ▁}, and of all neighbours whose joined text is a token those of the highest score
 * are joined first. A character without a token is spelled by its UTF-8 bytes, tokens {@code
 * <0x00>} to {@code <0xFF>}, or else is unknown. As a rule a space goes in front of a text, so that
 * a word is one token wherever it stands.
 */
public final class SentencePiece extends Tokenizer {
  static final String SCORES = "tokenizer.ggml.scores";
  static final String ADD_SPACE = "tokenizer.ggml.add_space_prefix";
  static final String REMOVE_SPACES = "tokenizer.ggml.remove_extra_whitespaces";
  static final String CHARS_MAP = "tokenizer.ggml.precompiled_charsmap";

  /** Whether a space goes in front of the whole text only, and only where none is. */
  static final String SPACE_ONCE = "tokenizer.tokamak.space_prefix_once";

  private static final char SPACE = '▁';

  private final int[] ranks; // by id: the higher the score, the lower
  private final ByteTokens byteTokens;
  private final boolean addSpace;
  private final boolean spaceOnce;
  private final boolean removeSpaces;
  private final Optional<CharsMap> charsMap;

  SentencePiece(Metadata metadata) {
    super(
        metadata,
        new Defaults(OptionalInt.of(1), OptionalInt.of(2), OptionalInt.of(0), true, false));
    this.addSpace = metadata.bool(ADD_SPACE).orElse(true);
    this.spaceOnce = metadata.bool(SPACE_ONCE).orElse(false);
    this.removeSpaces = metadata.bool(REMOVE_SPACES).orElse(false);
    this.ranks = ranks(scores(metadata, vocabulary));
    this.byteTokens = new ByteTokens(vocabulary);
    this.charsMap = charsMap(metadata);
  }

  /** How a text is normalised before anything else, if it is. */
  static Optional<CharsMap> charsMap(Metadata metadata) {
    int[] values = metadata.ints(CHARS_MAP).orElse(new int[0]);
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) values[i];
    }
    return CharsMap.of(bytes, metadata.source(), CHARS_MAP);
  }

  /** The score of each token. */
  static float[] scores(Metadata metadata, Vocabulary vocabulary) {
    Optional<float[]> given = metadata.floats(SCORES);
    if (given.isEmpty()) {
      throw Vocabulary.error(vocabulary.source(), SCORES, "missing, expected array of numbers");
    }
    float[] scores = given.get();
    Vocabulary.requireOnePerToken(vocabulary.source(), SCORES, scores.length, vocabulary.size());
    for (int id = 0; id < scores.length; id++) {
      if (Float.isNaN(scores[id])) {
        throw Vocabulary.error(
            vocabulary.source(), SCORES + "[" + id + "]", "expected a number, found NaN");
      }
    }
    return scores;
  }

  private static int[] ranks(float[] scores) {
    int[] ranks = new int[scores.length];
    for (int id = 0; id < ranks.length; id++) {
      int bits = Float.floatToIntBits(scores[id] + 0f); // + 0: -0 equals 0
      ranks[id] = ~(bits ^ bits >> 31 & 0x7fff_ffff); // ints in the order of the floats, reversed
    }
    return ranks;
  }

  @Override
  boolean spaceInFront() {
    return addSpace;
  }

  @Override
  byte[] textBytes(int id) {
    return textBytes(vocabulary, id);
  }

  /** The bytes of a token, its spaces written as spaces. */
  static byte[] textBytes(Vocabulary vocabulary, int id) {
    String text = vocabulary.text(id);
    return vocabulary.kind(id) == TokenKind.BYTE
        ? new byte[] {(byte) ByteTokens.byteOf(text)}
        : text.replace(SPACE, ' ').getBytes(StandardCharsets.UTF_8);
  }

  @Override
  Encoder encoder(String text, Ids out) {
    return new TextEncoder(text, out);
  }

  /** Encodes the parts of one text. */
  private final class TextEncoder extends MergeChain implements Encoder {
    private final String text;
    private final Ids out;
    private byte[] utf8 = new byte[0];
    private int[] starts = new int[0]; // of symbols, in utf8

    TextEncoder(String text, Ids out) {
      super(0);
      this.text = text;
      this.out = out;
    }

    @Override
    public void encode(int from, int to) {
      String part = text.substring(from, to);
      if (charsMap.isPresent()) {
        byte[] normal = charsMap.get().apply(part.getBytes(StandardCharsets.UTF_8));
        part = new String(normal, StandardCharsets.UTF_8);
      }
      if (removeSpaces) {
        part = withoutExtraSpaces(part, from == 0, to == text.length());
      }
      if (part.isEmpty()) {
        return;
      }
      String spaced = part.replace(' ', SPACE);
      boolean once = from == 0 && spaced.charAt(0) != SPACE;
      boolean front = addSpace && (!spaceOnce || once);
      utf8 = (front ? SPACE + spaced : spaced).getBytes(StandardCharsets.UTF_8);
      split();
      run();
      boolean unknownBefore = false;
      for (int i = first(); i >= 0; i = after(i)) {
        if (ids[i] >= 0) {
          out.add(ids[i]);
          unknownBefore = false;
        } else {
          unknownBefore = fallBack(starts[i], end(i), unknownBefore);
        }
      }
    }

    private static String withoutExtraSpaces(String part, boolean begins, boolean ends) {
      String single = part.replaceAll(" +", " ");
      int begin = begins && single.startsWith(" ") ? 1 : 0;
      int end = single.length() - (ends && single.endsWith(" ") ? 1 : 0);
      return single.substring(begin, Math.max(begin, end));
    }

    /** Makes each character a symbol. */
    private void split() {
      clear();
      if (starts.length < utf8.length) {
        starts = new int[utf8.length];
        grow(utf8.length);
      }
      for (int at = 0; at < utf8.length; ) {
        int end = Bytes.characterEnd(utf8, at);
        starts[count()] = at;
        add(vocabulary.findText(utf8, at, end));
        at = end;
      }
    }

    @Override
    long merge(int left, int right) {
      int id = vocabulary.findText(utf8, starts[left], end(right));
      return id < 0 ? NONE : (long) ranks[id] << 32 | id;
    }

    private int end(int symbol) {
      int after = after(symbol);
      return after < 0 ? utf8.length : starts[after];
    }

    /**
     * Spells a character that has no token. Characters in a row that cannot be spelled are unknown
     * together.
     *
     * @return whether it is unknown
     */
    private boolean fallBack(int from, int to, boolean unknownBefore) {
      boolean spelled = byteTokens.spell(utf8, from, to, out);
      if (!spelled && !unknownBefore) {
        out.add(unknown().getAsInt()); // always there, by default 0
      }
      return !spelled;
    }
  }
}
