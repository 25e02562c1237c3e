// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.reference;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Batch;
import dev.tokamak.backend.CacheShape;
import dev.tokamak.backend.Limits;
import dev.tokamak.backend.NotFiniteException;
import dev.tokamak.backend.Operation;
import dev.tokamak.backend.Program;
import dev.tokamak.backend.Replay;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.Value;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.BooleanSupplier;

/** A program as a plain loop over its operations; a value is a Java array. */
final class ReferenceReplay implements Replay {
  private final Program program;
  private final Arena arena = Arena.ofShared();
  private final Batch batch;
  private final float[][] values;
  private final ReferenceCache cache;
  private final MemorySegment logits;

  ReferenceReplay(Program program, Limits limits) {
    this.program = program;
    batch = new Batch(limits, arena);
    values = new float[program.values().size()][];
    for (Value value : program.values()) {
      long rows = value.rows() == Value.Rows.STEP ? limits.rows() : limits.outputs();
      values[value.id()] = new float[Math.toIntExact(rows * value.width())];
    }
    cache = new ReferenceCache(program.cache(), limits.pages());
    logits = MemorySegment.ofArray(values[program.logits().id()]);
  }

  @Override
  public Batch batch() {
    return batch;
  }

  @Override
  public void step() {
    program.operations().forEach(this::run);
  }

  @Override
  public boolean step(BooleanSupplier unwanted) {
    for (Operation operation : program.operations()) {
      if (Thread.currentThread().isInterrupted() || unwanted.getAsBoolean()) {
        return false;
      }
      run(operation);
    }
    return true;
  }

  private void run(Operation operation) {
    switch (operation) {
      case Operation.Embed op -> embed(op);
      case Operation.Norm op -> norm(op);
      case Operation.MatMul op -> matmul(op);
      case Operation.Rope op -> rope(op);
      case Operation.Store op -> store(op);
      case Operation.Attention op -> attention(op);
      case Operation.Gate op -> gate(op);
      case Operation.Add op -> add(op);
      case Operation.Select op -> select(op);
    }
    checkFinite(operation);
  }

  @Override
  public MemorySegment logits() {
    return logits;
  }

  @Override
  public long bytes() {
    long floats = 0;
    for (float[] value : values) {
      floats += value.length;
    }
    return floats * Float.BYTES
        + 2L * program.cache().layers() * cache.keys(0).length * Float.BYTES;
  }

  @Override
  public void close() {
    arena.close();
  }

  private float[] array(Value value) {
    return values[value.id()];
  }

  private int rows(Value value) {
    return value.rows() == Value.Rows.STEP ? batch.rows() : batch.outputs();
  }

  private void embed(Operation.Embed op) {
    int dim = op.out().width();
    float[] row = new float[dim];
    for (int r = 0; r < batch.rows(); r++) {
      int token = batch.token(r);
      if (token < 0 || token >= op.table().rows()) {
        throw new BackendException(
            "batch: token=" + token + " is not below the vocabulary's " + op.table().rows());
      }
      Decode.decode(op.table().type(), op.table().row(token), dim, row);
      System.arraycopy(row, 0, array(op.out()), r * dim, dim);
    }
  }

  private void norm(Operation.Norm op) {
    float[] x = array(op.x());
    float[] out = array(op.out());
    int dim = (int) op.weight().cols();
    int groups = rows(op.x()) * op.x().width() / dim;
    for (int g = 0; g < groups; g++) {
      double squares = 0;
      for (int i = g * dim; i < (g + 1) * dim; i++) {
        squares += (double) x[i] * x[i];
      }
      double scale = 1 / Math.sqrt(squares / dim + op.epsilon());
      for (int i = 0; i < dim; i++) {
        out[g * dim + i] = (float) (x[g * dim + i] * scale * op.weight().floatAt(i));
      }
    }
  }

  private void matmul(Operation.MatMul op) {
    Tensor weight = op.weight();
    float[] x = array(op.x());
    float[] out = array(op.out());
    int k = op.x().width();
    int outDim = op.out().width();
    float[] w = new float[k];
    for (int o = 0; o < outDim; o++) {
      Decode.decode(weight.type(), weight.row(o), k, w);
      float bias = op.bias().isPresent() ? op.bias().get().floatAt(o) : 0;
      for (int r = 0; r < rows(op.x()); r++) {
        double sum = bias;
        for (int i = 0; i < k; i++) {
          sum += (double) x[r * k + i] * w[i];
        }
        out[r * outDim + o] = (float) sum;
      }
    }
  }

  private void rope(Operation.Rope op) {
    float[] x = array(op.x());
    int half = (int) op.table().cols() / 2;
    boolean interleaved = op.pairing() == Operation.Rope.Pairing.INTERLEAVED;
    for (int r = 0; r < batch.rows(); r++) {
      long angles = (long) batch.position(r) * 2 * half;
      if (batch.position(r) >= op.table().rows()) {
        throw new BackendException(
            "batch: position=" + batch.position(r) + " is not below " + op.table().rows());
      }
      for (int head = r * op.x().width(); head < (r + 1) * op.x().width(); head += op.headDim()) {
        for (int i = 0; i < half; i++) {
          int a = head + (interleaved ? 2 * i : i);
          int b = interleaved ? a + 1 : a + half;
          double cos = op.table().floatAt(angles + i);
          double sin = op.table().floatAt(angles + half + i);
          double turned = x[a] * cos - x[b] * sin;
          x[b] = (float) (x[a] * sin + x[b] * cos);
          x[a] = (float) turned;
        }
      }
    }
  }

  private void store(Operation.Store op) {
    for (int r = 0; r < batch.rows(); r++) {
      int at = slot(batch.sequence(r), batch.position(r));
      cache.store(op.layer(), at, array(op.k()), array(op.v()), r * op.k().width());
    }
  }

  /** Softmax over the scores of all earlier positions (Vaswani et al. 2017), head by head. */
  private void attention(Operation.Attention op) {
    CacheShape shape = program.cache();
    int dim = shape.headDim();
    int heads = op.q().width() / dim;
    float[] q = array(op.q());
    float[] out = array(op.out());
    float[] keys = cache.keys(op.layer());
    float[] cached = cache.values(op.layer());
    for (int r = 0; r < batch.rows(); r++) {
      int length = batch.position(r) + 1;
      int sequence = batch.sequence(r);
      double[] weights = new double[length];
      for (int head = 0; head < heads; head++) {
        int query = r * op.q().width() + head * dim;
        int kvHead = head / (heads / shape.kvHeads()) * dim;
        double largest = Double.NEGATIVE_INFINITY;
        for (int p = 0; p < length; p++) {
          int key = slot(sequence, p) + kvHead;
          double score = 0;
          for (int i = 0; i < dim; i++) {
            score += (double) q[query + i] * keys[key + i];
          }
          weights[p] = score * op.scale();
          largest = Math.max(largest, weights[p]);
        }
        double total = 0;
        for (int p = 0; p < length; p++) {
          weights[p] = Math.exp(weights[p] - largest);
          total += weights[p];
        }
        double[] sum = new double[dim];
        for (int p = 0; p < length; p++) {
          int value = slot(sequence, p) + kvHead;
          for (int i = 0; i < dim; i++) {
            sum[i] += weights[p] * cached[value + i];
          }
        }
        for (int i = 0; i < dim; i++) {
          out[query + i] = (float) (sum[i] / total);
        }
      }
    }
  }

  private int slot(int sequence, int position) {
    return cache.at(batch.pageOf(sequence, position), position % CacheShape.PAGE_TOKENS);
  }

  private void gate(Operation.Gate op) {
    float[] gate = array(op.gate());
    float[] up = array(op.up());
    float[] out = array(op.out());
    for (int i = 0; i < rows(op.gate()) * op.gate().width(); i++) {
      out[i] = (float) (gate[i] / (1 + Math.exp(-gate[i])) * up[i]);
    }
  }

  private void add(Operation.Add op) {
    float[] x = array(op.x());
    float[] y = array(op.y());
    for (int i = 0; i < rows(op.x()) * op.x().width(); i++) {
      x[i] += y[i];
    }
  }

  private void select(Operation.Select op) {
    int width = op.x().width();
    for (int o = 0; o < batch.outputs(); o++) {
      System.arraycopy(array(op.x()), batch.outputRow(o) * width, array(op.out()), o * width, width);
    }
  }

  private void checkFinite(Operation operation) {
    Value value = operation.output();
    float[] x = array(value);
    for (int i = 0; i < rows(value) * value.width(); i++) {
      if (!Float.isFinite(x[i])) {
        throw new NotFiniteException(operation);
      }
    }
  }
}
