// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import java.util.Arrays;

/**
 * All ways to write one word by pieces: an edge for each piece at each place. Probabilities are
 * multiplied as they are, not as logarithms: words are short, and no piece's probability is below
 * {@link PieceModel#LEAST}.
 */
final class PieceLattice {
  private final PieceModel model;
  private int[] from = new int[256]; // edges, in the order of where they begin
  private int[] to = new int[256];
  private int[] pieces = new int[256];
  private int edges;
  private double[] forward = new double[64]; // by place: the sum, or best, of all ways to it
  private double[] backward = new double[64];
  private int[] lastEdge = new int[64]; // of the best way to a place

  PieceLattice(PieceModel model) {
    this.model = model;
  }

  /** Finds the edges of a word; the piece {@code without} is left out. */
  private void build(byte[] word, int without) {
    edges = 0;
    if (forward.length <= word.length) {
      forward = new double[2 * word.length + 1];
      backward = new double[forward.length];
      lastEdge = new int[forward.length];
    }
    Trie trie = model.trie();
    for (int start = 0; start < word.length; start = Bytes.characterEnd(word, start)) {
      int node = Trie.ROOT;
      for (int at = start; at < word.length; at++) {
        node = trie.next(node, word[at]);
        if (node == Trie.NONE) {
          break;
        }
        int piece = trie.value(node);
        if (piece != Trie.NONE && piece != without) {
          edge(start, at + 1, piece);
        }
      }
    }
  }

  private void edge(int start, int end, int piece) {
    if (edges == from.length) {
      from = Arrays.copyOf(from, 2 * edges);
      to = Arrays.copyOf(to, 2 * edges);
      pieces = Arrays.copyOf(pieces, 2 * edges);
    }
    from[edges] = start;
    to[edges] = end;
    pieces[edges++] = piece;
  }

  /** Adds how often each piece is to be expected where the word stands {@code count} times. */
  void expect(byte[] word, long count, double[] expected) {
    build(word, Trie.NONE);
    Arrays.fill(forward, 0, word.length + 1, 0);
    Arrays.fill(backward, 0, word.length + 1, 0);
    forward[0] = 1;
    backward[word.length] = 1;
    for (int i = 0; i < edges; i++) {
      forward[to[i]] += forward[from[i]] * model.probability(pieces[i]);
    }
    for (int i = edges - 1; i >= 0; i--) {
      backward[from[i]] += backward[to[i]] * model.probability(pieces[i]);
    }
    double scale = count / forward[word.length];
    for (int i = 0; i < edges; i++) {
      expected[pieces[i]] +=
          forward[from[i]] * model.probability(pieces[i]) * backward[to[i]] * scale;
    }
  }

  /**
   * The pieces of the most probable way to write a word, from its end.
   *
   * @param without a piece that is not to be used, or {@link Trie#NONE}
   */
  int[] best(byte[] word, int without) {
    build(word, without);
    Arrays.fill(forward, 0, word.length + 1, 0);
    forward[0] = 1;
    for (int i = 0; i < edges; i++) {
      double way = forward[from[i]] * model.probability(pieces[i]);
      if (way > forward[to[i]]) {
        forward[to[i]] = way;
        lastEdge[to[i]] = i;
      }
    }
    int[] path = new int[word.length];
    int steps = 0;
    for (int at = word.length; at > 0; at = from[lastEdge[at]]) {
      path[steps++] = pieces[lastEdge[at]];
    }
    return Arrays.copyOf(path, steps);
  }

  /** The probability of the way that {@link #best} found last. */
  double bestProbability(byte[] word) {
    return forward[word.length];
  }
}
