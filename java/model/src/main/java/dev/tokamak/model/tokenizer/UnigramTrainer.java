// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import dev.tokamak.model.format.Metadata;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Trains a {@link Unigram} (Kudo 2018): from more pieces than are wanted, those that matter least
 * for the probability of the documents are dropped, in turns with estimating the rest.
 *
 * <p>Nothing is normalised, so that every text comes back as it was. A space goes in front of a
 * text, and a space begins a piece or is one. Characters that make up 99.95 % of the documents are
 * pieces; the others are spelled by byte tokens.
 *
 * <p>Ids: {@code <unk>}, the control tokens, the 256 bytes, then pieces from the most probable to
 * the least.
 */
public final class UnigramTrainer implements TokenizerTrainer {
  private static final String UNKNOWN = "<unk>";
  private static final int BYTES = 256;
  private static final int LARGEST = 1 << 20;
  private static final int LONGEST_WORD = 32; // in characters
  private static final double COVERAGE = 0.9995;
  private static final String SPACE = "▁"; // never spelled by bytes, whatever the text

  private static final int SEEDS_PER_TOKEN = 10;
  private static final int LEAST_SEEDS = 100_000;
  private static final int ESTIMATES = 2; // between prunings
  private static final double KEPT = 0.75; // of the pieces, by a pruning
  private static final double SPARE = 1.1; // pieces before the last choice, by probability

  private final int vocabularySize;
  private final ControlTokens control;
  private final WordCounts counts;

  /**
   * @param vocabularySize number of tokens in all
   * @param pre how documents are split into words, which no piece goes beyond: a name as for {@link
   *     BpeTrainer}
   * @throws IllegalArgumentException if the size has no room for the bytes and control tokens, or
   *     the name is not known
   */
  public UnigramTrainer(int vocabularySize, ControlTokens control, String pre) {
    int least = 1 + control.names().size() + BYTES;
    if (vocabularySize <= least || vocabularySize > LARGEST) {
      throw new IllegalArgumentException(
          "vocabulary of "
              + vocabularySize
              + ": expected more than "
              + least
              + " (<unk>, 256 bytes and "
              + control.names().size()
              + " control tokens), at most "
              + LARGEST);
    }
    PreTokenizer preTokenizer = PreTokenizer.require(pre);
    this.vocabularySize = vocabularySize;
    this.control = control;
    this.counts =
        new WordCounts(control.names(), (part, words) -> split(preTokenizer, part, words));
  }

  /** Splits as encoding sees it: with a space in front, each space at the begin of a word. */
  private static void split(PreTokenizer preTokenizer, String part, WordCounts.Words words) {
    if (part.isEmpty()) {
      return;
    }
    String text = " " + part;
    preTokenizer
        .splitter(text)
        .split(
            0,
            text.length(),
            (from, to) -> {
              int start = from;
              for (int at = from + 1; at <= to; at++) {
                if (at == to || text.charAt(at) == ' ') {
                  words.word(text.substring(start, at).replace(" ", SPACE));
                  start = at;
                }
              }
            });
  }

  @Override
  public void add(String document) {
    counts.add(document);
  }

  @Override
  public Unigram train() {
    int room = vocabularySize - 1 - control.names().size() - BYTES;
    Map<String, Long> characters = characters();
    if (characters.size() > room) {
      throw new IllegalArgumentException(
          "vocabulary of "
              + vocabularySize
              + ": the text has "
              + characters.size()
              + " different characters, expected at least "
              + (vocabularySize - room + characters.size()));
    }
    Map<String, Long> words = words(characters);
    List<SeedPieces.Seed> seeds =
        SeedPieces.of(words, Math.max(LEAST_SEEDS, SEEDS_PER_TOKEN * vocabularySize));
    var model = new PieceModel(words, characters, seeds);
    int wanted = (int) (SPARE * room);
    while (true) {
      for (int i = 0; i < ESTIMATES; i++) {
        model.estimate();
      }
      if (model.size() <= wanted) {
        break;
      }
      model.prune(Math.max(wanted, (int) (KEPT * model.size())));
    }
    model.keepMostProbable(room);
    if (model.size() < room) {
      throw new IllegalArgumentException(
          "vocabulary of "
              + vocabularySize
              + ": the text is too small, it gives "
              + (vocabularySize - room + model.size())
              + " tokens");
    }
    return new Unigram(metadata(model));
  }

  /** The characters that become pieces, the most frequent first. */
  private Map<String, Long> characters() {
    var all = new TreeMap<String, Long>();
    all.put(SPACE, 1L);
    long sum = 1;
    for (var word : counts.sorted().entrySet()) {
      word.getKey()
          .codePoints()
          .forEach(c -> all.merge(Character.toString(c), word.getValue(), Long::sum));
      sum += word.getValue() * word.getKey().codePointCount(0, word.getKey().length());
    }
    List<String> order = new ArrayList<>(all.keySet());
    order.sort(Comparator.<String>comparingLong(c -> -all.get(c)).thenComparing(c -> c));
    var kept = new LinkedHashMap<String, Long>();
    long covered = 0;
    for (String character : order) {
      if (covered < COVERAGE * sum || character.equals(SPACE)) {
        kept.put(character, all.get(character));
        covered += all.get(character);
      }
    }
    return kept;
  }

  /** The words, cut at characters that are no pieces, and where they are too long. */
  private Map<String, Long> words(Map<String, Long> characters) {
    var words = new TreeMap<String, Long>();
    counts
        .sorted()
        .forEach(
            (word, count) -> {
              var part = new StringBuilder();
              int length = 0;
              for (int c : word.codePoints().toArray()) {
                boolean known = characters.containsKey(Character.toString(c));
                if (!known || length == LONGEST_WORD) {
                  add(words, part, count);
                  length = 0;
                }
                if (known) {
                  part.appendCodePoint(c);
                  length++;
                }
              }
              add(words, part, count);
            });
    return words;
  }

  private static void add(Map<String, Long> words, StringBuilder part, long count) {
    if (!part.isEmpty()) {
      words.merge(part.toString(), count, Long::sum);
      part.setLength(0);
    }
  }

  private Metadata metadata(PieceModel model) {
    List<String> tokens = new ArrayList<>(List.of(UNKNOWN));
    tokens.addAll(control.names());
    for (int b = 0; b < BYTES; b++) {
      tokens.add(ByteTokens.name(b));
    }
    int[] kinds = new int[vocabularySize];
    float[] scores = new float[vocabularySize];
    for (int id = 0; id < vocabularySize; id++) {
      TokenKind kind =
          id == 0
              ? TokenKind.UNKNOWN
              : id <= control.names().size()
                  ? TokenKind.CONTROL
                  : id < tokens.size() ? TokenKind.BYTE : TokenKind.NORMAL;
      kinds[id] = kind.code();
    }
    List<Integer> order = new ArrayList<>();
    for (int i = 0; i < model.size(); i++) {
      order.add(i);
    }
    order.sort(
        Comparator.<Integer>comparingDouble(i -> -model.probability(i))
            .thenComparing(model::piece));
    for (int i : order) {
      scores[tokens.size()] = (float) Math.log(model.probability(i));
      tokens.add(model.piece(i));
    }
    requireDifferent(tokens);
    var keys = new LinkedHashMap<String, Object>();
    keys.put(Tokenizer.MODEL, "t5");
    keys.put(Vocabulary.TOKENS, tokens);
    keys.put(SentencePiece.SCORES, scores);
    keys.put(Vocabulary.KINDS, kinds);
    keys.put(Tokenizer.idKey("unknown"), 0);
    keys.put(SentencePiece.ADD_SPACE, true);
    keys.put(SentencePiece.REMOVE_SPACES, false);
    control.describe(keys, 1);
    return Metadata.of("trained tokenizer", keys);
  }

  private void requireDifferent(List<String> tokens) {
    var seen = new HashSet<String>();
    for (String token : tokens) {
      if (!seen.add(token)) {
        throw new IllegalArgumentException(
            "control token '" + token + "': another token is written so too");
      }
    }
  }
}
