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
  private static final String SCORES = "tokenizer.ggml.scores";
  private static final String ADD_SPACE = "tokenizer.ggml.add_space_prefix";
  private static final String REMOVE_SPACES = "tokenizer.ggml.remove_extra_whitespaces";
  private static final char SPACE = '▁';

  private final int[] ranks; // by id: the higher the score, the lower
  private final int[] byteIds; // or -1
  private final boolean addSpace;
  private final boolean removeSpaces;

  SentencePiece(Metadata metadata) {
    super(metadata, new Defaults(OptionalInt.of(1), OptionalInt.of(2), OptionalInt.of(0), true));
    this.addSpace = metadata.bool(ADD_SPACE).orElse(true);
    this.removeSpaces = metadata.bool(REMOVE_SPACES).orElse(false);
    this.ranks = ranks(metadata, vocabulary);
    this.byteIds = new int[256];
    for (int b = 0; b < 256; b++) {
      char high = Character.toUpperCase(Character.forDigit(b >> 4, 16));
      char low = Character.toUpperCase(Character.forDigit(b & 0xf, 16));
      byteIds[b] = vocabulary.find("<0x" + high + low + ">");
    }
    for (int id = 0; id < vocabulary.size(); id++) {
      if (vocabulary.kind(id) == TokenKind.BYTE && byteOf(id) < 0) {
        throw Vocabulary.error(
            vocabulary.source(),
            Vocabulary.TOKENS + "[" + id + "]",
            "expected <0x00> to <0xFF> for a token of kind byte, found " + vocabulary.text(id));
      }
    }
  }

  private static int[] ranks(Metadata metadata, Vocabulary vocabulary) {
    Optional<float[]> given = metadata.floats(SCORES);
    if (given.isEmpty()) {
      throw Vocabulary.error(vocabulary.source(), SCORES, "missing, expected array of numbers");
    }
    float[] scores = given.get();
    Vocabulary.requireOnePerToken(vocabulary.source(), SCORES, scores.length, vocabulary.size());
    int[] ranks = new int[scores.length];
    for (int id = 0; id < ranks.length; id++) {
      if (Float.isNaN(scores[id])) {
        throw Vocabulary.error(
            vocabulary.source(), SCORES + "[" + id + "]", "expected a number, found NaN");
      }
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
    if (vocabulary.kind(id) == TokenKind.BYTE) {
      return new byte[] {(byte) byteOf(id)};
    }
    return vocabulary.text(id).replace(SPACE, ' ').getBytes(StandardCharsets.UTF_8);
  }

  /** The byte of a token {@code <0x0A>}, or -1. */
  private int byteOf(int id) {
    String text = vocabulary.text(id);
    int high = text.length() == 6 ? Character.digit(text.charAt(3), 16) : -1;
    int low = text.length() == 6 ? Character.digit(text.charAt(4), 16) : -1;
    boolean framed = text.startsWith("<0x") && text.endsWith(">");
    return framed && high >= 0 && low >= 0 ? high << 4 | low : -1;
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
      String part = removeSpaces ? withoutExtraSpaces(from, to) : text.substring(from, to);
      if (part.isEmpty()) {
        return;
      }
      utf8 = (addSpace ? " " + part : part).replace(' ', SPACE).getBytes(StandardCharsets.UTF_8);
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

    private String withoutExtraSpaces(int from, int to) {
      String part = text.substring(from, to).replaceAll(" +", " ");
      int begin = from == 0 && part.startsWith(" ") ? 1 : 0;
      int end = part.length() - (to == text.length() && part.endsWith(" ") ? 1 : 0);
      return part.substring(begin, Math.max(begin, end));
    }

    /** Makes each character a symbol. */
    private void split() {
      clear();
      if (starts.length < utf8.length) {
        starts = new int[utf8.length];
        grow(utf8.length);
      }
      for (int at = 0; at < utf8.length; ) {
        int end = at + 1;
        while (end < utf8.length && (utf8[end] & 0xc0) == 0x80) {
          end++;
        }
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
      boolean spelled = true;
      for (int i = from; i < to; i++) {
        spelled &= byteIds[utf8[i] & 0xff] >= 0;
      }
      if (spelled) {
        for (int i = from; i < to; i++) {
          out.add(byteIds[utf8[i] & 0xff]);
        }
      } else if (!unknownBefore) {
        out.add(unknown().getAsInt()); // always there, by default 0
      }
      return !spelled;
    }
  }
}
