// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.kernels;

import dev.tokamak.backend.Batch;
import dev.tokamak.backend.CacheShape;
import dev.tokamak.backend.Limits;
import dev.tokamak.backend.Replay;
import java.util.stream.IntStream;

/**
 * The steps of a kernel. Which token stands at a position of a sequence is a function of the two, so
 * that replays with some of the rows and sequences of another compute the same.
 */
final class Steps {
  private static final int PAGE = CacheShape.PAGE_TOKENS;

  private Steps() {}

  /** Room for steps of so many rows and for filling the cache by them. */
  static Limits limits(Kernel kernel, int rows, int sequences) {
    int filled = (rows + PAGE - 1) / PAGE + 1; // pages that a step of `fill` touches
    return new Limits(
        rows, rows, Math.max(sequences, filled), kernel.pages(), sequences * kernel.pages());
  }

  static int[] allSequences(Kernel kernel) {
    return IntStream.range(0, kernel.sequences()).toArray();
  }

  /** Of four tokens, or of all. */
  static int token(Kernel kernel, int sequence, int position, boolean four) {
    // The finalizer of MurmurHash3: neighbours get unrelated numbers.
    long mixed = sequence * 0x9e3779b97f4a7c15L + position;
    mixed = (mixed ^ mixed >>> 33) * 0xff51afd7ed558ccdL;
    mixed = (mixed ^ mixed >>> 33) * 0xc4ceb9fe1a85ec53L;
    return (int) ((mixed ^ mixed >>> 33) & (four ? 3 : Operands.TOKENS - 1));
  }

  /**
   * Stores keys and values at all positions of all layers, and sets the page table. In these steps
   * each page is a sequence of its own: no row sees more than a page, so attention costs little.
   *
   * @param sequences of the kernel that the replay's sequences are
   */
  static void fill(Replay replay, Kernel kernel, int[] sequences) {
    Batch batch = replay.batch();
    int pages = kernel.pages();
    if (kernel.cache().isPresent()) {
      int slots = sequences.length * pages * PAGE;
      int slot = 0;
      while (slot < slots) {
        batch.clear();
        int first = slot / PAGE;
        while (slot < slots && batch.rows() < batch.limits().rows()) {
          int page = slot / PAGE;
          int position = page % pages * PAGE + slot % PAGE;
          batch.page(page - first, 0, page);
          batch.add(
              token(kernel, sequences[page / pages], position, false), slot % PAGE, page - first);
          slot++;
        }
        batch.wantLogits();
        replay.step();
      }
    }
    for (int sequence = 0; sequence < sequences.length; sequence++) {
      for (int page = 0; page < pages; page++) {
        batch.page(sequence, page, sequence * pages + page);
      }
    }
  }

  /** The step that is timed: all rows, of which one wants logits, as of a prompt. */
  static void lastOutput(Replay replay, Kernel kernel) {
    Batch batch = replay.batch();
    batch.clear();
    for (int row = 0; row < kernel.rows(); row++) {
      add(batch, kernel, row, kernel.sequenceOf(row), false);
      if (kernel.operation().equals("select")) {
        batch.wantLogits();
      }
    }
    if (batch.outputs() == 0) {
      batch.wantLogits();
    }
  }

  /**
   * Adds a row of the kernel's step.
   *
   * @param sequence that it is of in this replay
   */
  static void add(Batch batch, Kernel kernel, int row, int sequence, boolean fourTokens) {
    int position = kernel.positionOf(row);
    batch.add(
        token(kernel, kernel.sequenceOf(row), position, fourTokens), position, sequence);
  }
}
