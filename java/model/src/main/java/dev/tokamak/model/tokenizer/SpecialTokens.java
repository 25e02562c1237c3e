// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import java.util.Arrays;
import java.util.BitSet;

/**
 * Finds tokens that are looked for in a text as they stand, before it is split: at the leftmost
 * place where one begins, the longest one. A search walks the text once, and at each place no
 * further than the tokens agree with it.
 */
final class SpecialTokens {
  /** No token found. */
  static final long NONE = -1;

  private final String[] texts; // sorted, so that tokens with a common beginning are neighbours
  private final int[] ids;
  private final BitSet firsts = new BitSet();

  /**
   * @param texts the texts of tokens of the vocabulary; sorted here
   */
  SpecialTokens(Vocabulary vocabulary, String[] texts) {
    Arrays.sort(texts);
    this.texts = texts;
    this.ids = new int[texts.length];
    for (int i = 0; i < texts.length; i++) {
      ids[i] = vocabulary.find(texts[i]);
      firsts.set(texts[i].charAt(0));
    }
  }

  /**
   * The first token at or after {@code from}.
   *
   * @return its place in the text, shifted left by 32, and its id; or {@link #NONE}
   */
  long find(String text, int from) {
    for (int at = from; at < text.length(); at++) {
      if (firsts.get(text.charAt(at))) {
        int index = longest(text, at);
        if (index >= 0) {
          return (long) at << 32 | ids[index];
        }
      }
    }
    return NONE;
  }

  private int longest(String text, int at) {
    int found = -1;
    int low = 0; // the tokens low to high - 1 agree with the text so far
    int high = texts.length;
    for (int depth = 0; at + depth < text.length(); depth++) {
      char c = text.charAt(at + depth);
      low = firstNotBelow(low, high, depth, c);
      high = firstNotBelow(low, high, depth, c + 1);
      if (low == high) {
        break;
      }
      if (texts[low].length() == depth + 1) {
        found = low;
      }
    }
    return found;
  }

  /** The first of the sorted tokens whose char at {@code depth} is {@code c} or above. */
  private int firstNotBelow(int low, int high, int depth, int c) {
    while (low < high) {
      int middle = low + high >>> 1;
      String token = texts[middle];
      if ((token.length() > depth ? token.charAt(depth) : -1) < c) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}
