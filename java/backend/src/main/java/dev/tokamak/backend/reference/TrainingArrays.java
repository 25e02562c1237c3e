// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.reference;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Value;
import dev.tokamak.backend.train.Parameter;
import dev.tokamak.backend.train.Parameters;
import dev.tokamak.backend.train.Placement;
import dev.tokamak.backend.train.TrainingBatch;
import dev.tokamak.backend.train.TrainingProgram;
import dev.tokamak.backend.train.TrainingShape;
import java.util.Arrays;

/** What the loops of one training program work on: a batch, and arrays of weights and values. */
final class TrainingArrays {
  final TrainingBatch batch;

  /** All values, where the placement says. */
  final float[] x;

  final float[] weights;
  final float[] gradients;
  private final Placement placement;
  private final boolean bf16;

  TrainingArrays(TrainingProgram program, TrainingBatch batch) {
    this.batch = batch;
    placement = Placement.of(program, batch.shape());
    bf16 = batch.shape().arithmetic() == TrainingShape.Arithmetic.BF16;
    Parameters parameters = program.parameters();
    x = array(placement.size(), "activations");
    weights = array(parameters.size(), "weights");
    gradients = array(parameters.trainableSize(), "gradients");
  }

  static float[] array(long floats, String what) {
    if (floats > Integer.MAX_VALUE - 8) {
      throw new BackendException(
          "reference: " + floats + " floats of " + what + " are more than it can hold");
    }
    return new float[(int) floats];
  }

  /** Where a value begins in {@link #x}. */
  int at(Value value) {
    return (int) placement.offset(value);
  }

  int rows(Value value) {
    return value.rows() == Value.Rows.STEP ? batch.rows() : batch.outputs();
  }

  /** Floats of a value in this step. */
  int count(Value value) {
    return rows(value) * value.width();
  }

  /** Where a parameter begins in {@link #weights}, and in {@link #gradients} if it is trainable. */
  static int at(Parameter parameter) {
    return (int) parameter.offset();
  }

  /** A value as an operand of a product: a copy, rounded if the arithmetic says so. */
  float[] operand(Value value) {
    return rounded(Arrays.copyOfRange(x, at(value), at(value) + count(value)));
  }

  /** A weight as an operand of a product. */
  float[] operand(Parameter weight) {
    int at = at(weight);
    return rounded(Arrays.copyOfRange(weights, at, at + (int) weight.size()));
  }

  private float[] rounded(float[] values) {
    if (bf16) {
      for (int i = 0; i < values.length; i++) {
        values[i] = bf16(values[i]);
      }
    }
    return values;
  }

  /** To the nearest value of bfloat16, ties to even; infinities and NaN stay what they are. */
  static float bf16(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (!Float.isFinite(value)) {
      return value;
    }
    return Float.intBitsToFloat((bits + 0x7fff + (bits >>> 16 & 1)) & 0xffff0000);
  }
}
