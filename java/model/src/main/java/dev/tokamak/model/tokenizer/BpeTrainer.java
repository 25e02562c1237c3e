// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import dev.tokamak.model.format.Metadata;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Trains a byte-level BPE (Sennrich, Haddow, Birch 2016; over bytes as in GPT-2): the pair of
 * neighbours that stands most often in the words becomes a token, again and again, until the
 * vocabulary is full. Of pairs that are equally many the one of the lowest ids goes first, left
 * before right. A pair must stand at least twice.
 *
 * <p>Ids: the control tokens, the 256 bytes in the order of the characters they are written with,
 * then what each merge makes. That, and each merge, is what the trainer of Hugging Face's
 * tokenizers makes of the same documents with {@code min_frequency} 2, except that a control
 * token's name in a document is not counted here, and that of a word of more than 1,024 bytes the
 * pieces of that length are.
 */
public final class BpeTrainer implements TokenizerTrainer {
  private static final int BYTES = 256;
  private static final int LONGEST_WORD = 1024; // keeps the work for one pair in bounds
  private static final int LARGEST = 1 << 20;
  private static final int LEAST_COUNT = 2;

  private final int vocabularySize;
  private final ControlTokens control;
  private final String pre;
  private final WordCounts counts;

  /**
   * @param vocabularySize number of tokens in all
   * @param pre how a text is split into words: a name that {@code tokenizer.ggml.pre} may have,
   *     such as {@code gpt-2}, {@code llama-bpe} (digits by threes) or {@code qwen2} (digits one by
   *     one)
   * @throws IllegalArgumentException if the size has no room for the bytes and control tokens, or
   *     the name is not known
   */
  public BpeTrainer(int vocabularySize, ControlTokens control, String pre) {
    int least = BYTES + control.names().size();
    if (vocabularySize < least || vocabularySize > LARGEST) {
      throw new IllegalArgumentException(
          "vocabulary of "
              + vocabularySize
              + ": expected "
              + least
              + " (256 bytes and "
              + control.names().size()
              + " control tokens) to "
              + LARGEST);
    }
    PreTokenizer preTokenizer = PreTokenizer.require(pre);
    this.vocabularySize = vocabularySize;
    this.control = control;
    this.pre = pre;
    this.counts =
        new WordCounts(
            control.names(),
            (part, words) ->
                preTokenizer
                    .splitter(part)
                    .split(0, part.length(), (from, to) -> words.word(part.substring(from, to))));
  }

  @Override
  public void add(String document) {
    counts.add(document);
  }

  @Override
  public Bpe train() {
    List<String> tokens = new ArrayList<>(control.names());
    char[] alphabet = Bpe.alphabet();
    char[] sorted = alphabet.clone();
    Arrays.sort(sorted);
    for (char c : sorted) {
      tokens.add(String.valueOf(c));
    }
    var ids = new HashMap<String, Integer>();
    for (int id = 0; id < tokens.size(); id++) {
      requireNew(ids.put(tokens.get(id), id), tokens.get(id));
    }
    int[] byteIds = new int[BYTES];
    for (int b = 0; b < BYTES; b++) {
      byteIds[b] = ids.get(String.valueOf(alphabet[b]));
    }
    List<String> merges = merge(pairs(byteIds), tokens, ids);
    if (tokens.size() < vocabularySize) {
      throw new IllegalArgumentException(
          "vocabulary of "
              + vocabularySize
              + ": the text is too small, it gives "
              + tokens.size()
              + " tokens");
    }
    return new Bpe(metadata(tokens, merges));
  }

  private PairCounts pairs(int[] byteIds) {
    var pairs = new PairCounts();
    counts
        .sorted()
        .forEach(
            (word, count) -> {
              byte[] utf8 = word.getBytes(StandardCharsets.UTF_8);
              for (int from = 0; from < utf8.length; from += LONGEST_WORD) {
                int[] symbols = new int[Math.min(LONGEST_WORD, utf8.length - from)];
                for (int i = 0; i < symbols.length; i++) {
                  symbols[i] = byteIds[utf8[from + i] & 0xff];
                }
                pairs.add(symbols, count);
              }
            });
    return pairs;
  }

  /** Adds a token for each pair, the most frequent first; returns the merges. */
  private List<String> merge(PairCounts pairs, List<String> tokens, Map<String, Integer> ids) {
    var merges = new ArrayList<String>();
    while (tokens.size() < vocabularySize) {
      PairCounts.Pair pair = pairs.most();
      if (pair == null || pair.count() < LEAST_COUNT) {
        break;
      }
      String left = tokens.get(pair.left());
      String right = tokens.get(pair.right());
      Integer known = ids.putIfAbsent(left + right, tokens.size()); // another pair may make it too
      if (known == null) {
        tokens.add(left + right);
      } else if (known < control.names().size()) {
        requireNew(known, left + right);
      }
      merges.add(left + " " + right);
      pairs.merge(pair, ids.get(left + right));
    }
    return merges;
  }

  private static void requireNew(Integer known, String token) {
    if (known != null) {
      throw new IllegalArgumentException(
          "control token '" + token + "': a token of text is written so too");
    }
  }

  private Metadata metadata(List<String> tokens, List<String> merges) {
    int[] kinds = new int[tokens.size()];
    Arrays.fill(kinds, TokenKind.NORMAL.code());
    Arrays.fill(kinds, 0, control.names().size(), TokenKind.CONTROL.code());
    var keys = new LinkedHashMap<String, Object>();
    keys.put(Tokenizer.MODEL, "gpt2");
    keys.put(Bpe.PRE, pre);
    keys.put(Vocabulary.TOKENS, tokens);
    keys.put(Vocabulary.KINDS, kinds);
    keys.put(Bpe.MERGES, merges);
    control.describe(keys, 0);
    return Metadata.of("trained tokenizer", keys);
  }
}
