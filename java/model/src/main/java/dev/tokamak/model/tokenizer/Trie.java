// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import java.util.Arrays;

/** Which byte sequences of a set a text begins with: one step for each byte. */
final class Trie {
  /** The node of the empty sequence. */
  static final int ROOT = 0;

  /** No node, no value. */
  static final int NONE = -1;

  private static final long FREE = -1;

  private long[] edges; // node << 8 | byte; a power of two, at most half full
  private int[] targets;
  private int[] values; // by node
  private int nodes = 1;

  Trie() {
    edges = new long[1 << 10];
    Arrays.fill(edges, FREE);
    targets = new int[edges.length];
    values = new int[1 << 9];
    Arrays.fill(values, NONE);
  }

  /** Gives a sequence a value, 0 or more. */
  void put(byte[] bytes, int from, int to, int value) {
    int node = ROOT;
    for (int i = from; i < to; i++) {
      int next = next(node, bytes[i]);
      node = next == NONE ? grow(node, bytes[i]) : next;
    }
    values[node] = value;
  }

  /** The node one byte further, or {@link #NONE}. */
  int next(int node, byte b) {
    long edge = (long) node << 8 | b & 0xff;
    for (int slot = slot(edge); ; slot = slot + 1 & edges.length - 1) {
      if (edges[slot] == edge) {
        return targets[slot];
      }
      if (edges[slot] == FREE) {
        return NONE;
      }
    }
  }

  /** The value of the sequence that leads to a node, or {@link #NONE}. */
  int value(int node) {
    return values[node];
  }

  private int grow(int node, byte b) {
    if (2 * (nodes + 1) > edges.length) {
      rehash();
    }
    if (nodes == values.length) {
      int before = values.length;
      values = Arrays.copyOf(values, 2 * before);
      Arrays.fill(values, before, values.length, NONE);
    }
    enter((long) node << 8 | b & 0xff, nodes);
    return nodes++;
  }

  private void rehash() {
    long[] before = edges;
    int[] beforeTargets = targets;
    edges = new long[2 * before.length];
    Arrays.fill(edges, FREE);
    targets = new int[edges.length];
    for (int i = 0; i < before.length; i++) {
      if (before[i] != FREE) {
        enter(before[i], beforeTargets[i]);
      }
    }
  }

  private void enter(long edge, int target) {
    int slot = slot(edge);
    while (edges[slot] != FREE) {
      slot = slot + 1 & edges.length - 1;
    }
    edges[slot] = edge;
    targets[slot] = target;
  }

  private int slot(long edge) {
    return (int) (edge * 0x9e3779b97f4a7c15L >>> 36) & edges.length - 1;
  }
}
