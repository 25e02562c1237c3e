// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.kernels;

import dev.tokamak.backend.CacheShape;
import dev.tokamak.backend.Operation;
import dev.tokamak.backend.Program;
import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.Value;
import dev.tokamak.backend.Value.Rows;

/**
 * A program of one kernel: inputs are looked up in tables by the step's tokens, the operation runs
 * some number of times, and the rows whose logits are wanted are selected.
 */
final class Recording {
  private final Operands operands;
  private final int layers;
  private final Program.Recorder recorder = Program.record();
  private final Program program;
  private int inputs;

  /**
   * @param repeats times that the operation runs
   * @param layers of the cache, at least as many
   */
  Recording(Kernel kernel, Operands operands, int repeats, int layers) {
    this.operands = operands;
    this.layers = layers;
    Value out = kernel.recipe().record(this, repeats);
    if (out.rows() == Rows.STEP) {
      add(new Operation.Select(out, value(Rows.OUTPUTS, out.width())));
    }
    program =
        recorder.end(
            kernel
                .cache()
                .map(c -> new CacheShape(c.type(), layers, c.kvHeads(), c.headDim()))
                .orElse(new CacheShape(QuantType.F32, 1, 1, 1)));
  }

  Program program() {
    return program;
  }

  int layers() {
    return layers;
  }

  void add(Operation operation) {
    recorder.add(operation);
  }

  Value value(int width) {
    return value(Rows.STEP, width);
  }

  Value value(Rows rows, int width) {
    return recorder.value("value", rows, width);
  }

  /** The next input: a random row for each token. */
  Value input(int width) {
    Value x = recorder.value("input " + inputs, Rows.STEP, width);
    add(new Operation.Embed(operands.input(inputs++, width), x));
    return x;
  }

  /** The weights of one repetition. */
  Tensor matrix(int repeat) {
    return operands.matrix(repeat);
  }

  /** A norm's weights. */
  Tensor vector(int length) {
    return operands.vector(length);
  }

  /** Cosines and sines of every position. */
  Tensor angles(int headDim) {
    return operands.angles(headDim);
  }
}
