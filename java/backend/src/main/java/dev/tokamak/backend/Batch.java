// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * What one step works on, off the Java heap so that a backend reads it in place: for each row a
 * token, its position and its sequence; the rows whose logits are wanted; and for each sequence the
 * pages of the cache that hold its tokens. All of it lies in one piece of memory, each array at a
 * multiple of {@value #ALIGNMENT} bytes, so that one copy takes it elsewhere. Adding rows allocates
 * nothing.
 */
public final class Batch {
  /** Bytes that every array is aligned to. */
  public static final int ALIGNMENT = 256;

  private final Limits limits;
  private final MemorySegment counts;
  private final MemorySegment tokens;
  private final MemorySegment positions;
  private final MemorySegment sequences;
  private final MemorySegment outputs;
  private final MemorySegment pageTable;
  private int rows;
  private int outputCount;

  /** An empty batch in the arena of its owner. */
  public Batch(Limits limits, Arena arena) {
    this(limits, arena.allocate(bytes(limits), ALIGNMENT));
  }

  /**
   * An empty batch in memory of a backend's.
   *
   * @param memory of {@link #bytes} bytes
   */
  public Batch(Limits limits, MemorySegment memory) {
    this.limits = limits;
    memory.fill((byte) 0); // pages that nobody named are page 0
    Addresses at = addresses(limits, 0);
    counts = memory.asSlice(at.counts, 2L * Integer.BYTES);
    tokens = memory.asSlice(at.tokens, 4L * limits.rows());
    positions = memory.asSlice(at.positions, 4L * limits.rows());
    sequences = memory.asSlice(at.sequences, 4L * limits.rows());
    outputs = memory.asSlice(at.outputs, 4L * limits.outputs());
    pageTable = memory.asSlice(at.pageTable, pageTableBytes(limits));
  }

  /** Bytes that a batch takes, a multiple of {@link #ALIGNMENT}. */
  public static long bytes(Limits limits) {
    return addresses(limits, 0).pageTable + aligned(pageTableBytes(limits));
  }

  private static long pageTableBytes(Limits limits) {
    return 4L * limits.sequences() * limits.pagesPerSequence();
  }

  private static long aligned(long bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }

  /** Forgets all rows; the page table stays. */
  public void clear() {
    rows = 0;
    outputCount = 0;
    counts.fill((byte) 0);
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
    counts.setAtIndex(JAVA_INT, 0, rows);
  }

  /** Asks for the logits of the row that was added last; returns their row in the result. */
  public int wantLogits() {
    if (rows == 0 || outputCount == limits.outputs()) {
      throw new BackendException(
          "batch: rows=" + rows + ", outputs=" + outputCount + " of " + limits.outputs());
    }
    outputs.setAtIndex(JAVA_INT, outputCount, rows - 1);
    counts.setAtIndex(JAVA_INT, 1, outputCount + 1);
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

  /**
   * Where the arrays lie, for native code.
   *
   * @param counts the numbers of rows and of outputs
   */
  public record Addresses(
      long counts, long tokens, long positions, long sequences, long outputs, long pageTable) {}

  /** Where this batch's own arrays lie. */
  public Addresses addresses() {
    return addresses(limits, counts.address());
  }

  /** Where the arrays of a batch's copy lie that starts at an address. */
  public static Addresses addresses(Limits limits, long start) {
    long rowBytes = aligned(4L * limits.rows());
    long tokens = start + ALIGNMENT;
    long outputs = tokens + 3 * rowBytes;
    return new Addresses(
        start,
        tokens,
        tokens + rowBytes,
        tokens + 2 * rowBytes,
        outputs,
        outputs + aligned(4L * limits.outputs()));
  }
}
