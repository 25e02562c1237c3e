// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import dev.tokamak.train.Example;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/** How examples are cut out of a shard: the items that a {@link Mixture} puts in order. */
sealed interface Sequences {
  /** Number of items. */
  long items();

  /**
   * The examples of an item.
   *
   * @param shift what an epoch decides beyond the order, any number
   */
  List<Example> examples(long item, long shift);

  /** The number that an example's place in all the data has. */
  private static long id(int part, long place) {
    return ((long) part << 44) + place;
  }

  /**
   * Windows of {@code length} + 1 tokens over all documents, one behind the other; each document in
   * a window is an example of its own, so that none sees another. Windows of different epochs begin
   * at different tokens.
   *
   * @param part number of the shard
   * @param shifted whether {@code shift} counts; without it, windows lie end to end from the first
   *     token, and the last one may be shorter
   */
  record Windows(TokenShard shard, int part, int length, boolean shifted) implements Sequences {
    @Override
    public long items() {
      long targets = shard.tokens() - 1;
      return shifted
          ? Math.max(1, shard.tokens() / length)
          : Math.max(1, (targets + length - 1) / length);
    }

    @Override
    public List<Example> examples(long item, long shift) {
      long tokens = shard.tokens();
      var examples = new ArrayList<Example>();
      boolean room = tokens > length;
      long offset = shifted && room ? Math.floorMod(shift, length) : 0;
      long from = offset + item * length;
      long to = from + length + 1;
      if (shifted && room && to > tokens) { // goes on at the first document
        add(examples, from, tokens);
        add(examples, 0, to - tokens);
      } else {
        add(examples, from, Math.min(to, tokens));
      }
      return examples;
    }

    private void add(List<Example> examples, long from, long to) {
      long start = from;
      for (long next = shard.sequenceAfter(from); start < to; next++) {
        long end = Math.min(to, shard.start(next));
        if (end - start >= 2) {
          examples.add(Example.of(id(part, start), shard.read(start, (int) (end - start))));
        }
        start = end;
      }
    }
  }

  /**
   * Sequences as they are, {@code together} of them an item: 1, or the 2 answers of a pair.
   *
   * @param part number of the shard
   */
  record Whole(TokenShard shard, int part, int together) implements Sequences {
    @Override
    public long items() {
      return shard.sequences() / together;
    }

    @Override
    public List<Example> examples(long item, long shift) {
      var examples = new ArrayList<Example>();
      for (long i = item * together; i < (item + 1) * together; i++) {
        long from = shard.start(i);
        int length = (int) (shard.start(i + 1) - from);
        BitSet marks = shard.marks(from, length);
        examples.add(new Example(id(part, i), shard.read(from, length), marks, 1));
      }
      return examples;
    }
  }
}
