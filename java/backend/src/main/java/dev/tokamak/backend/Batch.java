// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * What one step works on, off the Java heap so that a backend reads it in place: for each row a
 * token, its position and its sequence; the rows whose logits are wanted; and for each sequence the
 * pages of the cache that hold its tokens. Adding rows allocates nothing.
 */
public final class Batch {
  private final Limits limits;
  private final MemorySegment tokens;
  private final MemorySegment positions;
  private final MemorySegment sequences;
  private final MemorySegment outputs;
  private final MemorySegment pageTable;
  private int rows;
  private int outputCount;

  /** An empty batch in the arena of its owner. */
  public Batch(Limits limits, Arena arena) {
    this.limits = limits;
    tokens = arena.allocate(JAVA_INT, limits.rows());
    positions = arena.allocate(JAVA_INT, limits.rows());
    sequences = arena.allocate(JAVA_INT, limits.rows());
    outputs = arena.allocate(JAVA_INT, limits.outputs());
    pageTable =
        arena.allocate(JAVA_INT, (long) limits.sequences() * limits.pagesPerSequence());
  }

  /** Forgets all rows; the page table stays. */
  public void clear() {
    rows = 0;
    outputCount = 0;
  }

  /**
   * Adds a row.
   *
   * @param position of the token in its sequence, from 0; its page must be in the page table
   * @param sequence row of the page table
   */
  public void add(int token, int position, int sequence) {
    if (rows == limits.rows()) {
      throw new BackendException("batch: more than " + limits.rows() + " rows");
    }
    if (sequence < 0 || sequence >= limits.sequences()) {
      throw new BackendException(
          "batch: sequence=" + sequence + " is not below " + limits.sequences());
    }
    int most = limits.pagesPerSequence() * CacheShape.PAGE_TOKENS;
    if (position < 0 || position >= most) {
      throw new BackendException("batch: position=" + position + " is not below " + most);
    }
    tokens.setAtIndex(JAVA_INT, rows, token);
    positions.setAtIndex(JAVA_INT, rows, position);
    sequences.setAtIndex(JAVA_INT, rows, sequence);
    rows++;
  }

  /** Asks for the logits of the row that was added last; returns their row in the result. */
  public int wantLogits() {
    if (rows == 0 || outputCount == limits.outputs()) {
      throw new BackendException(
          "batch: rows=" + rows + ", outputs=" + outputCount + " of " + limits.outputs());
    }
    outputs.setAtIndex(JAVA_INT, outputCount, rows - 1);
    return outputCount++;
  }

  /** Page {@code index} of a sequence is page {@code page} of the cache. */
  public void page(int sequence, int index, int page) {
    if (page < 0 || page >= limits.pages()) {
      throw new BackendException("batch: page=" + page + " is not below " + limits.pages());
    }
    pageTable.setAtIndex(JAVA_INT, (long) sequence * limits.pagesPerSequence() + index, page);
  }

  /** Rows added: n. */
  public int rows() {
    return rows;
  }

  /** Rows whose logits are wanted: m. */
  public int outputs() {
    return outputCount;
  }

  public Limits limits() {
    return limits;
  }

  public int token(int row) {
    return tokens.getAtIndex(JAVA_INT, row);
  }

  public int position(int row) {
    return positions.getAtIndex(JAVA_INT, row);
  }

  public int sequence(int row) {
    return sequences.getAtIndex(JAVA_INT, row);
  }

  /** The row of output {@code output}. */
  public int outputRow(int output) {
    return outputs.getAtIndex(JAVA_INT, output);
  }

  /** The cache page of a position of a sequence. */
  public int pageOf(int sequence, int position) {
    return pageTable.getAtIndex(
        JAVA_INT,
        (long) sequence * limits.pagesPerSequence() + position / CacheShape.PAGE_TOKENS);
  }

  /** Addresses for a native backend, in the order of {@code tk_cpu_tape_create}. */
  public record Addresses(
      long tokens, long positions, long sequences, long outputs, long pageTable) {}

  public Addresses addresses() {
    return new Addresses(
        tokens.address(),
        positions.address(),
        sequences.address(),
        outputs.address(),
        pageTable.address());
  }
}
