// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.backend.Value.Rows;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.random.RandomGenerator;

/** A random two-layer transformer that uses every operation, for tests of backends. */
public final class TinyProgram {
  public static final int VOCABULARY = 77;
  public static final int POSITIONS = 64;
  private static final int LAYERS = 2;

  private final List<Tensor> matrices = new ArrayList<>();
  private final Program program;

  /**
   * @param dim of the residual stream: whole blocks of {@code type}
   * @param cacheType of keys and values
   */
  public TinyProgram(
      RandomGenerator random, Arena arena, QuantType type, int dim, int heads, int kvHeads,
      QuantType cacheType, Pairing pairing) {
    RandomTensors tensors = new RandomTensors(random, arena);
    int headDim = dim / heads;
    int hidden = dim;
    Program.Recorder p = Program.record();
    Value x = p.value("x", Rows.STEP, dim);
    Value normed = p.value("normed", Rows.STEP, dim);
    Value q = p.value("q", Rows.STEP, dim);
    Value k = p.value("k", Rows.STEP, kvHeads * headDim);
    Value v = p.value("v", Rows.STEP, kvHeads * headDim);
    Value attended = p.value("attended", Rows.STEP, dim);
    Value gate = p.value("gate", Rows.STEP, hidden);
    Value up = p.value("up", Rows.STEP, hidden);
    Value last = p.value("last", Rows.OUTPUTS, dim);
    Value logits = p.value("logits", Rows.OUTPUTS, VOCABULARY);
    Tensor angles = angles(headDim / 2 * 2, arena);
    Tensor table = tensors.matrix("table", type, VOCABULARY, dim);
    p.add(new Operation.Embed(table, x));
    for (int layer = 0; layer < LAYERS; layer++) {
      p.add(new Operation.Norm(x, tensors.vector("norm", dim), 1e-5f, normed));
      p.add(product(normed, matrix(tensors, "q" + layer, type, dim, dim), tensors, q));
      p.add(product(normed, matrix(tensors, "k" + layer, type, k.width(), dim), tensors, k));
      p.add(product(normed, matrix(tensors, "v" + layer, type, k.width(), dim), tensors, v));
      p.add(new Operation.Norm(q, tensors.vector("qNorm", headDim), 1e-5f, q));
      p.add(new Operation.Rope(q, headDim, pairing, angles));
      p.add(new Operation.Rope(k, headDim, pairing, angles));
      p.add(new Operation.Store(layer, k, v));
      p.add(new Operation.Attention(layer, q, (float) (1 / Math.sqrt(headDim)), attended));
      p.add(product(attended, matrix(tensors, "o" + layer, type, dim, dim), tensors, normed));
      p.add(new Operation.Add(x, normed));
      p.add(new Operation.Norm(x, tensors.vector("norm", dim), 1e-5f, normed));
      p.add(product(normed, matrix(tensors, "gate" + layer, type, hidden, dim), tensors, gate));
      p.add(product(normed, matrix(tensors, "up" + layer, type, hidden, dim), tensors, up));
      p.add(new Operation.Gate(gate, up, gate));
      p.add(product(gate, matrix(tensors, "down" + layer, type, dim, hidden), tensors, normed));
      p.add(new Operation.Add(x, normed));
    }
    p.add(new Operation.Select(x, last));
    p.add(new Operation.Norm(last, tensors.vector("norm", dim), 1e-5f, last));
    Tensor head = matrix(tensors, "head", type, VOCABULARY, dim);
    p.add(new Operation.MatMul(last, head, Optional.empty(), logits));
    program = p.end(new CacheShape(cacheType, LAYERS, kvHeads, headDim));
  }

  public Program program() {
    return program;
  }

  public List<Tensor> matrices() {
    return matrices;
  }

  /** Runs the tokens in steps of at most {@code chunk} rows; returns the logits of each. */
  public static float[][] logits(Replay replay, int sequence, int[] tokens, int chunk) {
    Limits limits = replay.batch().limits();
    for (int index = 0; index < limits.pagesPerSequence(); index++) {
      replay.batch().page(sequence, index, sequence * limits.pagesPerSequence() + index);
    }
    float[][] logits = new float[tokens.length][VOCABULARY];
    for (int from = 0; from < tokens.length; from += chunk) {
      int to = Math.min(tokens.length, from + chunk);
      replay.batch().clear();
      for (int i = from; i < to; i++) {
        replay.batch().add(tokens[i], i, sequence);
        replay.batch().wantLogits();
      }
      replay.step();
      for (int i = from; i < to; i++) {
        MemorySegment.copy(
            replay.logits(), JAVA_FLOAT, 4L * VOCABULARY * (i - from), logits[i], 0, VOCABULARY);
      }
    }
    return logits;
  }

  private Tensor matrix(RandomTensors tensors, String name, QuantType type, int rows, int cols) {
    Tensor matrix = tensors.matrix(name, type, rows, cols);
    matrices.add(matrix);
    return matrix;
  }

  private static Operation product(Value x, Tensor weight, RandomTensors tensors, Value out) {
    return new Operation.MatMul(
        x, weight, Optional.of(tensors.vector("bias", (int) weight.rows())), out);
  }

  private static Tensor angles(int rotaryDim, Arena arena) {
    int half = rotaryDim / 2;
    MemorySegment data = arena.allocate(4L * POSITIONS * rotaryDim, 64);
    for (int p = 0; p < POSITIONS; p++) {
      for (int i = 0; i < half; i++) {
        double angle = p * Math.pow(10000, -2.0 * i / rotaryDim);
        long at = (long) p * rotaryDim + i;
        data.setAtIndex(JAVA_FLOAT_UNALIGNED, at, (float) Math.cos(angle));
        data.setAtIndex(JAVA_FLOAT_UNALIGNED, at + half, (float) Math.sin(angle));
      }
    }
    return new Tensor("angles", QuantType.F32, POSITIONS, rotaryDim, data);
  }
}
