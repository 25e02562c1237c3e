// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import java.util.Arrays;
import java.util.Optional;

/**
 * SentencePiece's table of replacements, such as NFKC: at each place of a text the longest sequence
 * of bytes that it knows is replaced, and a character that begins none stays.
 *
 * <p>Layout, little-endian: the size in bytes of a trie (uint32), the trie, then replacements, each
 * with a zero byte behind. The trie is a double array of 32-bit units (Yata et al. 2007, as in
 * darts-clone): bits 0–7 the label that leads to the unit; bit 8 whether a sequence ends here,
 * whose unit then is at label 0; bits 10–30, shifted left by another 8 where bit 9 is set, what a
 * unit's own index is to be XORed with, and then with a label, for the child's index. A unit that
 * ends a sequence has bit 31 set and the replacement's place in bits 0–30.
 */
final class CharsMap {
  private static final int HEADER = 4;
  private static final int UNIT = 4;
  private static final int LABEL = 0x8000_00ff;
  private static final int ENDS = 1 << 8;
  private static final int WIDE = 1 << 9;
  private static final int LONGEST = 1 << 10; // of a replacement; NFKC's is 33 bytes

  private final int[] units;
  private final byte[] replacements;

  private CharsMap(int[] units, byte[] replacements) {
    this.units = units;
    this.replacements = replacements;
  }

  /**
   * The table in a file; empty for no bytes.
   *
   * @throws dev.tokamak.model.format.FormatException if a size or a replacement's place is outside
   */
  static Optional<CharsMap> of(byte[] data, String source, String key) {
    if (data.length == 0) {
      return Optional.empty();
    }
    long trie = data.length < HEADER ? 0 : unit(data, 0) & 0xffff_ffffL;
    if (trie < UNIT || trie % UNIT != 0 || trie > data.length - HEADER) {
      throw Vocabulary.error(
          source,
          key,
          "expected a size in whole units of 4 bytes and as many bytes, found "
              + trie
              + " of "
              + data.length
              + " bytes");
    }
    int[] units = new int[(int) trie / UNIT];
    for (int i = 0; i < units.length; i++) {
      units[i] = unit(data, HEADER + i * UNIT);
    }
    var map = new CharsMap(units, Arrays.copyOfRange(data, HEADER + (int) trie, data.length));
    for (int i = 0; i < units.length; i++) {
      boolean inner = units[i] >= 0;
      if (inner && (units[i] & ENDS) != 0 && !map.isReplacement(i ^ offset(units[i]))) {
        throw Vocabulary.error(
            source,
            key,
            "unit " + i + ": its replacement is outside, or of more than " + LONGEST + " bytes");
      }
    }
    return Optional.of(map);
  }

  private boolean isReplacement(int unit) {
    if (unit < 0 || unit >= units.length) {
      return false;
    }
    int from = units[unit] & Integer.MAX_VALUE;
    return from < replacements.length && end(from) - from <= LONGEST;
  }

  private int end(int from) {
    int to = from;
    while (to < replacements.length && replacements[to] != 0) {
      to++;
    }
    return to;
  }

  /** The text with its replacements; UTF-8 in and out. */
  byte[] apply(byte[] utf8) {
    var out = new Bytes(utf8.length + 16);
    for (int at = 0; at < utf8.length; ) {
      long found = longest(utf8, at);
      if (found >= 0) {
        int from = (int) found;
        out.add(replacements, from, end(from));
        at += (int) (found >>> 32);
      } else {
        int end = Bytes.characterEnd(utf8, at);
        out.add(utf8, at, end);
        at = end;
      }
    }
    return out.toArray();
  }

  /**
   * The longest sequence at a place: its length, shifted left by 32, and its replacement; or -1.
   */
  private long longest(byte[] utf8, int from) {
    long found = -1;
    int node = offset(units[0]);
    for (int at = from; at < utf8.length; at++) {
      node ^= utf8[at] & 0xff;
      if (node < 0 || node >= units.length || (units[node] & LABEL) != (utf8[at] & 0xff)) {
        break;
      }
      int unit = units[node];
      node ^= offset(unit);
      if ((unit & ENDS) != 0) {
        found = (long) (at + 1 - from) << 32 | units[node] & Integer.MAX_VALUE;
      }
    }
    return found;
  }

  private static int offset(int unit) {
    return unit >>> 10 << ((unit & WIDE) >>> 6);
  }

  private static int unit(byte[] data, int at) {
    return (data[at] & 0xff)
        | (data[at + 1] & 0xff) << 8
        | (data[at + 2] & 0xff) << 16
        | data[at + 3] << 24;
  }
}
