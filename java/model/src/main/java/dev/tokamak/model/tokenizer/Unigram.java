// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import dev.tokamak.model.format.Metadata;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The unigram language model of Kudo (2018) ({@code tokenizer.ggml.model = t5}): each token has a
 * score, the logarithm of its probability, and of all ways to write a text the one of the highest
 * sum is taken (Viterbi). Spaces are written {@code ▁}. A character that no token covers costs 10
 * more than the rarest token; it is spelled by its UTF-8 bytes, tokens {@code <0x00>} to {@code
 * <0xFF>}, or else is unknown, characters in a row together.
 *
 * <p>A text is normalised first, as the model's own table says ({@link CharsMap}), and spaces are
 * put in front and taken away as in SentencePiece.
 */
public final class Unigram extends Tokenizer {
  private static final float UNKNOWN_COST = 10;
  private static final float MOST_SUM = 1 << 15; // above it, float32 is too coarse to go on adding
  private static final byte[] SPACE = "▁".getBytes(StandardCharsets.UTF_8);

  private final float[] scores;
  private final float unknownScore;
  private final ByteTokens byteTokens;
  private final boolean addSpace;
  private final boolean removeSpaces;
  private final Optional<CharsMap> charsMap;
  private final Trie trie = new Trie();
  private final boolean wordByWord; // no token goes on over the beginning of a word

  Unigram(Metadata metadata) {
    super(
        metadata,
        new Defaults(OptionalInt.empty(), OptionalInt.of(1), OptionalInt.of(2), false, true));
    this.addSpace = metadata.bool(SentencePiece.ADD_SPACE).orElse(false);
    this.removeSpaces = metadata.bool(SentencePiece.REMOVE_SPACES).orElse(false);
    this.charsMap = SentencePiece.charsMap(metadata);
    this.scores = SentencePiece.scores(metadata, vocabulary);
    this.byteTokens = new ByteTokens(vocabulary);
    float lowest = 0;
    boolean words = true;
    for (int id = 0; id < vocabulary.size(); id++) {
      if (!Float.isFinite(scores[id])) {
        throw Vocabulary.error(
            vocabulary.source(),
            SentencePiece.SCORES + "[" + id + "]",
            "expected a finite number, found " + scores[id]);
      }
      if (vocabulary.kind(id) == TokenKind.NORMAL) {
        byte[] utf8 = vocabulary.utf8(id);
        trie.put(utf8, 0, utf8.length, id);
        lowest = Math.min(lowest, scores[id]);
        words &= vocabulary.text(id).lastIndexOf('▁') <= 0;
      }
    }
    this.unknownScore = lowest - UNKNOWN_COST;
    this.wordByWord = words;
  }

  @Override
  boolean spaceInFront() {
    return addSpace;
  }

  @Override
  boolean removesSpaces() {
    return removeSpaces;
  }

  @Override
  byte[] textBytes(int id) {
    return SentencePiece.textBytes(vocabulary, id);
  }

  /** What SentencePiece writes for it. */
  @Override
  byte[] unknownBytes() {
    return " ⁇ ".getBytes(StandardCharsets.UTF_8);
  }

  @Override
  Encoder encoder(String text, Ids out) {
    return new TextEncoder(text, out);
  }

  /** The text as it is encoded, spaces written as the vocabulary does. */
  private byte[] normal(String text) {
    byte[] given = text.getBytes(StandardCharsets.UTF_8);
    byte[] utf8 = charsMap.isPresent() ? charsMap.get().apply(given) : given;
    var out = new Bytes(utf8.length + utf8.length / 2 + 16);
    boolean spaceBefore = removeSpaces;
    for (int at = 0; at < utf8.length; at++) {
      boolean space = utf8[at] == ' ';
      if (space && spaceBefore) {
        continue;
      }
      if (out.size() == 0 && addSpace) {
        out.add(SPACE, 0, SPACE.length);
      }
      if (space) {
        out.add(SPACE, 0, SPACE.length);
      } else {
        out.add(utf8, at, at + 1);
      }
      spaceBefore = space && removeSpaces;
    }
    while (removeSpaces && out.endsWith(SPACE)) {
      out.drop(SPACE.length);
    }
    return out.toArray();
  }

  /** Encodes the parts of one text. */
  private final class TextEncoder implements Encoder {
    private final String text;
    private final Ids out;
    private boolean unknownBefore;
    private float sum; // of the words before: float32 as in SentencePiece, so that ties fall alike

    // By place in the word: the best way to get there ends with the token lastIds, from lastStarts.
    private float[] best = new float[64];
    private int[] lastIds = new int[64];
    private int[] lastStarts = new int[64];
    private int[] path = new int[64]; // places, from the last to the first

    TextEncoder(String text, Ids out) {
      this.text = text;
      this.out = out;
    }

    @Override
    public void encode(int from, int to) {
      byte[] utf8 = normal(text.substring(from, to));
      unknownBefore = false;
      sum = 0;
      int start = 0;
      while (start < utf8.length) {
        int end = wordByWord ? wordEnd(utf8, start) : utf8.length;
        word(utf8, start, end);
        start = end;
      }
    }

    private int wordEnd(byte[] utf8, int start) {
      for (int at = start + 1; at + SPACE.length <= utf8.length; at++) {
        if (utf8[at] == SPACE[0] && utf8[at + 1] == SPACE[1] && utf8[at + 2] == SPACE[2]) {
          return at;
        }
      }
      return utf8.length;
    }

    private void word(byte[] utf8, int from, int to) {
      int length = to - from;
      if (best.length <= length) {
        int capacity = Math.max(length + 1, 2 * best.length);
        best = new float[capacity];
        lastIds = new int[capacity];
        lastStarts = new int[capacity];
        path = new int[capacity];
      }
      Arrays.fill(best, 1, length + 1, Float.NEGATIVE_INFINITY);
      best[0] = Math.abs(sum) < MOST_SUM ? sum : 0;
      for (int at = from; at < to; ) {
        int characterEnd = Bytes.characterEnd(utf8, at);
        if (!extend(utf8, from, at, to, characterEnd)) {
          offer(at - from, characterEnd - from, Trie.NONE, unknownScore);
        }
        at = characterEnd;
      }
      sum = best[length];
      int steps = 0;
      for (int at = length; at > 0; at = lastStarts[at]) {
        path[steps++] = at;
      }
      for (int i = steps - 1; i >= 0; i--) {
        int end = path[i];
        emit(lastIds[end], utf8, from + lastStarts[end], from + end);
      }
    }

    /** Tries all tokens at a place; whether one of them is the character there. */
    private boolean extend(byte[] utf8, int word, int from, int to, int characterEnd) {
      boolean character = false;
      int node = Trie.ROOT;
      for (int at = from; at < to; at++) {
        node = trie.next(node, utf8[at]);
        if (node == Trie.NONE) {
          break;
        }
        int id = trie.value(node);
        if (id != Trie.NONE) {
          offer(from - word, at + 1 - word, id, scores[id]);
          character |= at + 1 == characterEnd;
        }
      }
      return character;
    }

    private void offer(int start, int end, int id, float score) {
      float total = best[start] + score;
      if (total > best[end]) {
        best[end] = total;
        lastIds[end] = id;
        lastStarts[end] = start;
      }
    }

    private void emit(int id, byte[] utf8, int from, int to) {
      if (id != Trie.NONE) {
        out.add(id);
        unknownBefore = false;
      } else if (byteTokens.spell(utf8, from, to, out)) {
        unknownBefore = false;
      } else {
        if (!unknownBefore) {
          out.add(unknown().orElse(0));
        }
        unknownBefore = true;
      }
    }
  }
}
