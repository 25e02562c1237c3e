// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.testing.Seeds;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;

/** The merge loop against the rule in its plainest form, on random vocabularies full of ties. */
class MergeOrderTest {
  private static final String LETTERS = "abc";

  /** What a pair makes: the lower the rank, the sooner. */
  private interface Pairs {
    /** The rank of joining two pieces, or null where they make none. */
    Double rank(String left, String right);
  }

  /** Joins the best pair, the leftmost among equals, until there is none. */
  private static List<String> plain(String word, Pairs pairs) {
    var pieces = new ArrayList<>(List.of(word.split("")));
    while (true) {
      int best = -1;
      double bestRank = 0;
      for (int i = 0; i + 1 < pieces.size(); i++) {
        Double rank = pairs.rank(pieces.get(i), pieces.get(i + 1));
        if (rank != null && (best < 0 || rank < bestRank)) {
          best = i;
          bestRank = rank;
        }
      }
      if (best < 0) {
        return pieces;
      }
      pieces.set(best, pieces.get(best) + pieces.remove(best + 1));
    }
  }

  @Test
  void bytePairsMergeInOrder() {
    Seeds.check(
        random -> {
          for (int round = 0; round < 200; round++) {
            var made = new Vocabularies("gpt2").byteLevelStart().key("pre", "gpt-2");
            Map<String, Double> ranks = new HashMap<>();
            List<String> pieces = new ArrayList<>(List.of(LETTERS.split("")));
            for (int i = random.nextInt(1, 40); i > 0; i--) {
              String left = pick(pieces, random);
              String right = pick(pieces, random);
              if (ranks.containsKey(left + " " + right)) {
                continue;
              }
              ranks.put(left + " " + right, (double) ranks.size());
              made.merge(left, right);
              if (!pieces.contains(left + right)) {
                pieces.add(left + right);
                made.token(left + right, TokenKind.NORMAL, 0);
              }
            }
            check(made.tokenizer(), (left, right) -> ranks.get(left + " " + right), random);
          }
        });
  }

  @Test
  void sentencePieceMergesByScore() {
    Seeds.check(
        random -> {
          for (int round = 0; round < 200; round++) {
            var made =
                new Vocabularies("llama").sentencePieceStart().key("add_space_prefix", false);
            Map<String, Double> ranks = new HashMap<>();
            for (String letter : LETTERS.split("")) {
              made.token(letter, TokenKind.NORMAL, 0);
            }
            for (int i = random.nextInt(1, 40); i > 0; i--) {
              String piece = word(random, random.nextInt(2, 6));
              // Few different scores, of both signs and both zeros.
              float score = new float[] {-2, -1, -0f, 0f, 0.5f, 3}[random.nextInt(6)];
              if (ranks.putIfAbsent(piece, (double) -(score + 0f)) == null) {
                made.token(piece, TokenKind.NORMAL, score);
              }
            }
            check(made.tokenizer(), (left, right) -> ranks.get(left + right), random);
          }
        });
  }

  private static void check(Tokenizer tokenizer, Pairs pairs, RandomGenerator random) {
    for (int i = 0; i < 20; i++) {
      String word = word(random, random.nextInt(1, 60));
      List<String> got = new ArrayList<>();
      for (int id : tokenizer.encode(word, false, false)) {
        got.add(tokenizer.piece(id));
      }
      assertThat(got).as(word).isEqualTo(plain(word, pairs));
    }
  }

  private static String word(RandomGenerator random, int length) {
    var out = new StringBuilder();
    for (int i = 0; i < length; i++) {
      out.append(LETTERS.charAt(random.nextInt(LETTERS.length())));
    }
    return out.toString();
  }

  private static String pick(List<String> pieces, RandomGenerator random) {
    return pieces.get(random.nextInt(pieces.size()));
  }
}
