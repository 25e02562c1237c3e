// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.tokamak.backend.BackendException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * What one training step works on, off the Java heap: sequences one behind the other, each a run of
 * rows; for each row its token and its position; for some of the rows a target, the token to be
 * predicted there. The backend writes the targets' log probabilities; the caller answers with the
 * loss's derivatives by them, the coefficients.
 */
public final class TrainingBatch {
  private final TrainingShape shape;
  private final MemorySegment tokens;
  private final MemorySegment positions;
  private final MemorySegment starts;
  private final MemorySegment outputs;
  private final MemorySegment targets;
  private final MemorySegment coefficients;
  private final MemorySegment logProbabilities;
  private int rows;
  private int outputCount;
  private int start;

  /** An empty batch in the arena of its owner. */
  public TrainingBatch(TrainingShape shape, Arena arena) {
    this.shape = shape;
    tokens = arena.allocate(JAVA_INT, shape.rows());
    positions = arena.allocate(JAVA_INT, shape.rows());
    starts = arena.allocate(JAVA_INT, shape.rows());
    outputs = arena.allocate(JAVA_INT, shape.outputs());
    targets = arena.allocate(JAVA_INT, shape.outputs());
    coefficients = arena.allocate(JAVA_FLOAT, shape.outputs());
    logProbabilities = arena.allocate(JAVA_FLOAT, shape.outputs());
  }

  public TrainingShape shape() {
    return shape;
  }

  /** Forgets all rows. */
  public void clear() {
    rows = 0;
    outputCount = 0;
    start = 0;
  }

  /** The next row begins a new sequence, at position 0. */
  public void beginSequence() {
    start = rows;
  }

  /** Adds the next token of the sequence. */
  public void add(int token) {
    if (rows == shape.rows()) {
      throw new BackendException("training batch: more than " + shape.rows() + " rows");
    }
    tokens.setAtIndex(JAVA_INT, rows, token);
    positions.setAtIndex(JAVA_INT, rows, rows - start);
    starts.setAtIndex(JAVA_INT, rows, start);
    rows++;
  }

  /** Gives the row added last a target; returns the number of this output. */
  public int target(int token) {
    if (rows == 0 || outputCount == shape.outputs()) {
      throw new BackendException(
          "training batch: rows=" + rows + ", outputs=" + outputCount + " of " + shape.outputs());
    }
    outputs.setAtIndex(JAVA_INT, outputCount, rows - 1);
    targets.setAtIndex(JAVA_INT, outputCount, token);
    return outputCount++;
  }

  /**
   * Checks that a program can work on it, before a backend reads it.
   *
   * @throws BackendException if it is empty, has no target, or has a token or position that the
   *     program has not
   */
  public void check(TrainingProgram program) {
    if (rows == 0 || outputCount == 0) {
      throw new BackendException(
          "training batch: rows=" + rows + ", outputs=" + outputCount + ", expected some of each");
    }
    for (int row = 0; row < rows; row++) {
      check("token", token(row), program.vocabulary());
      check("position", position(row), program.positions());
    }
    for (int output = 0; output < outputCount; output++) {
      check("target", targetOf(output), program.vocabulary());
    }
  }

  private static void check(String what, int value, int end) {
    if (value < 0 || value >= end) {
      throw new BackendException(
          "training batch: " + what + "=" + value + " is not from 0 to " + (end - 1));
    }
  }

  /** Rows added: n. */
  public int rows() {
    return rows;
  }

  /** Rows with a target: m. */
  public int outputs() {
    return outputCount;
  }

  public int token(int row) {
    return tokens.getAtIndex(JAVA_INT, row);
  }

  public int position(int row) {
    return positions.getAtIndex(JAVA_INT, row);
  }

  /** The first row of the row's sequence. */
  public int start(int row) {
    return starts.getAtIndex(JAVA_INT, row);
  }

  /** The row of output {@code output}. */
  public int outputRow(int output) {
    return outputs.getAtIndex(JAVA_INT, output);
  }

  /** The target of output {@code output}. */
  public int targetOf(int output) {
    return targets.getAtIndex(JAVA_INT, output);
  }

  /** Natural logarithm of the target's probability, after a forward pass. */
  public float logProbability(int output) {
    return logProbabilities.getAtIndex(JAVA_FLOAT, output);
  }

  /** Sets the loss's derivative by an output's log probability. */
  public void coefficient(int output, double derivative) {
    coefficients.setAtIndex(JAVA_FLOAT, output, (float) derivative);
  }

  /** Where the arrays lie, for backends: int32 [rows] or [outputs], float32 [outputs]. */
  public record Arrays(
      MemorySegment tokens,
      MemorySegment positions,
      MemorySegment starts,
      MemorySegment outputs,
      MemorySegment targets,
      MemorySegment coefficients,
      MemorySegment logProbabilities) {}

  public Arrays arrays() {
    return new Arrays(
        tokens, positions, starts, outputs, targets, coefficients, logProbabilities);
  }
}
