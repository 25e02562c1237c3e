// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import dev.tokamak.backend.train.TrainingReplay;
import dev.tokamak.backend.train.TrainingReplay.State;
import java.lang.foreign.MemorySegment;

/**
 * The weights of a model in training, wherever they are: one float32 array in the layout of its
 * {@link dev.tokamak.backend.train.Parameters}.
 */
public interface WeightArray {
  /**
   * Copies floats out of it.
   *
   * @param offset of the first, in floats
   * @param to as many floats as it holds
   */
  void read(long offset, MemorySegment to);

  /** Copies floats into it. */
  void write(long offset, MemorySegment from);

  /** The weights of a prepared program. */
  static WeightArray of(TrainingReplay replay) {
    return new WeightArray() {
      @Override
      public void read(long offset, MemorySegment to) {
        replay.read(State.WEIGHTS, offset, to);
      }

      @Override
      public void write(long offset, MemorySegment from) {
        replay.write(State.WEIGHTS, offset, from);
      }
    };
  }

  /** An array in memory. */
  static WeightArray of(MemorySegment floats) {
    return new WeightArray() {
      @Override
      public void read(long offset, MemorySegment to) {
        to.copyFrom(floats.asSlice(offset * Float.BYTES, to.byteSize()));
      }

      @Override
      public void write(long offset, MemorySegment from) {
        floats.asSlice(offset * Float.BYTES, from.byteSize()).copyFrom(from);
      }
    };
  }
}
