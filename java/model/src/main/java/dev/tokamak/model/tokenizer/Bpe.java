// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import dev.tokamak.model.format.Metadata;
import java.nio.charset.StandardCharsets;
import java.text.Normalizer;
import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Byte-level BPE ({@code tokenizer.ggml.model = gpt2}): the text is split into words by the
 * patterns of {@link PreTokenizer}, each word into its UTF-8 bytes, and neighbours are merged in
 * the order of {@code tokenizer.ggml.merges}. Tokens are written in GPT-2's alphabet, in which each
 * byte is a visible character: a space is {@code Ġ}. A byte that has no token is left out, as the
 * models' own tokenizers do; known vocabularies lack bytes of control characters and of planes that
 * no character is in.
 */
public final class Bpe extends Tokenizer {
  static final String PRE = "tokenizer.ggml.pre";

  /** NFC, NFD, NFKC or NFKD: how Tokamak's own files say that a text is brought into it first. */
  static final String NORMALIZER = "tokenizer.tokamak.normalizer";

  static final String MERGES = "tokenizer.ggml.merges";

  /** The character of each byte. */
  private static final char[] ALPHABET = alphabet();

  /** The byte of each character below U+0144, or -1. */
  private static final short[] BYTES = bytesOf(ALPHABET);

  private final PreTokenizer preTokenizer;
  private final Optional<Normalizer.Form> form;
  private final int[] byteIds; // or -1
  private final Merges merges;

  Bpe(Metadata metadata) {
    PreTokenizer named = preTokenizer(metadata);
    OptionalInt none = OptionalInt.empty();
    super(metadata, new Defaults(none, none, none, named.addBos(), false));
    this.preTokenizer = named;
    this.form = metadata.string(NORMALIZER).map(name -> form(metadata.source(), name));
    this.byteIds = new int[256];
    for (int b = 0; b < 256; b++) {
      byteIds[b] = vocabulary.find(String.valueOf(ALPHABET[b]));
    }
    this.merges = new Merges(metadata, vocabulary);
  }

  private static PreTokenizer preTokenizer(Metadata metadata) {
    String name = metadata.string(PRE).orElse("default");
    Optional<PreTokenizer> named = PreTokenizer.named(name);
    if (named.isEmpty()) {
      throw Vocabulary.error(
          metadata.source(),
          PRE,
          "unknown: '" + name + "'; known: " + String.join(", ", PreTokenizer.names()));
    }
    return named.get();
  }

  private static Normalizer.Form form(String source, String name) {
    for (Normalizer.Form form : Normalizer.Form.values()) {
      if (form.name().equals(name)) {
        return form;
      }
    }
    throw Vocabulary.error(
        source, NORMALIZER, "expected NFC, NFD, NFKC or NFKD, found '" + name + "'");
  }

  @Override
  boolean spaceInFront() {
    return false;
  }

  @Override
  byte[] textBytes(int id) {
    String text = vocabulary.text(id);
    byte[] out = new byte[text.length()];
    for (int i = 0; i < out.length; i++) {
      char c = text.charAt(i);
      if (c >= BYTES.length || BYTES[c] < 0) {
        return vocabulary.utf8(id); // not in the alphabet: a token added as it stands
      }
      out[i] = (byte) BYTES[c];
    }
    return out;
  }

  @Override
  Encoder encoder(String text, Ids out) {
    if (form.isPresent() && !Normalizer.isNormalized(text, form.get())) {
      return (from, to) -> {
        String normal = Normalizer.normalize(text.substring(from, to), form.get());
        splitEncoder(normal, out).encode(0, normal.length());
      };
    }
    return splitEncoder(text, out);
  }

  private Encoder splitEncoder(String text, Ids out) {
    var words = new WordEncoder(text, out);
    PreTokenizer.Splitter splitter = preTokenizer.splitter(text);
    return (from, to) -> splitter.split(from, to, words);
  }

  /** Encodes the words of one text. */
  private final class WordEncoder extends MergeChain implements PreTokenizer.Words {
    private final String text;
    private final Ids out;

    WordEncoder(String text, Ids out) {
      super(64);
      this.text = text;
      this.out = out;
    }

    @Override
    public void word(int from, int to) {
      byte[] utf8 = text.substring(from, to).getBytes(StandardCharsets.UTF_8);
      int whole = preTokenizer.wholeWords() ? wholeWord(utf8) : -1;
      if (whole >= 0) {
        out.add(whole);
        return;
      }
      clear();
      for (byte b : utf8) {
        int id = byteIds[b & 0xff];
        if (id >= 0) {
          add(id);
        }
      }
      run();
      for (int i = first(); i >= 0; i = after(i)) {
        out.add(ids[i]);
      }
    }

    @Override
    long merge(int left, int right) {
      return merges.find(ids[left], ids[right]);
    }

    /** The token that is written as this word, or -1. */
    private int wholeWord(byte[] utf8) {
      if (utf8.length > vocabulary.longest()) {
        return -1;
      }
      char[] written = new char[utf8.length];
      for (int i = 0; i < written.length; i++) {
        written[i] = ALPHABET[utf8[i] & 0xff];
      }
      byte[] text = new String(written).getBytes(StandardCharsets.UTF_8);
      return vocabulary.findText(text, 0, text.length);
    }
  }

  /** Which two tokens make which, and in what order: a table of pairs, open addressing. */
  private static final class Merges {
    private static final long FREE = -1;

    private final long[] pairs; // left << 32 | right; a power of two, at most half full
    private final int[] ranks;
    private final int[] made; // by rank

    Merges(Metadata metadata, Vocabulary vocabulary) {
      PackedStrings lines = PackedStrings.require(metadata, MERGES);
      made = new int[lines.count()];
      pairs = new long[Integer.highestOneBit(Math.max(lines.count(), 2)) * 4];
      ranks = new int[pairs.length];
      Arrays.fill(pairs, FREE);
      byte[] joined = new byte[vocabulary.longest() + 1];
      for (int rank = 0; rank < made.length; rank++) {
        enter(metadata, vocabulary, lines, rank, joined);
      }
    }

    private void enter(
        Metadata metadata, Vocabulary vocabulary, PackedStrings lines, int rank, byte[] joined) {
      byte[] bytes = lines.bytes;
      int from = lines.start(rank);
      int to = lines.end(rank);
      int space = from + 1;
      while (space < to && bytes[space] != ' ') {
        space++;
      }
      int left = -1;
      int right = -1;
      int result = -1;
      if (space < to) {
        left = vocabulary.find(bytes, from, space);
        right = vocabulary.find(bytes, space + 1, to);
        int length = to - from - 1;
        if (length <= vocabulary.longest()) {
          System.arraycopy(bytes, from, joined, 0, space - from);
          System.arraycopy(bytes, space + 1, joined, space - from, to - space - 1);
          result = vocabulary.find(joined, 0, length);
        }
      }
      if (left < 0 || right < 0 || result < 0) {
        throw Vocabulary.error(
            metadata.source(),
            MERGES + "[" + rank + "]",
            "expected two tokens that make a third, found '" + lines.get(rank) + "'");
      }
      made[rank] = result;
      long pair = (long) left << 32 | right;
      int slot = slot(pair);
      while (pairs[slot] != FREE) {
        if (pairs[slot] == pair) {
          return; // the first mention counts
        }
        slot = slot + 1 & pairs.length - 1;
      }
      pairs[slot] = pair;
      ranks[slot] = rank;
    }

    /** As {@link MergeChain#merge}. */
    long find(int left, int right) {
      long pair = (long) left << 32 | right;
      for (int slot = slot(pair); ; slot = slot + 1 & pairs.length - 1) {
        long there = pairs[slot];
        if (there == pair) {
          int rank = ranks[slot];
          return (long) rank << 32 | made[rank];
        }
        if (there == FREE) {
          return MergeChain.NONE;
        }
      }
    }

    private int slot(long pair) {
      long h = pair * 0x9e3779b97f4a7c15L;
      return (int) (h >>> 40) & pairs.length - 1;
    }
  }

  /** Printable bytes stand for themselves, the others, in order, for U+0100 and on. */
  static char[] alphabet() {
    char[] chars = new char[256];
    char next = 0x100;
    for (int b = 0; b < 256; b++) {
      boolean printable = b >= '!' && b <= '~' || b >= 0xa1 && b != 0xad;
      chars[b] = printable ? (char) b : next++;
    }
    return chars;
  }

  private static short[] bytesOf(char[] alphabet) {
    short[] bytes = new short[0x144];
    Arrays.fill(bytes, (short) -1);
    for (int b = 0; b < 256; b++) {
      bytes[alphabet[b]] = (short) b;
    }
    return bytes;
  }
}
