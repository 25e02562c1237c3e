// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.reference;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.NotFiniteException;
import dev.tokamak.backend.Value;
import dev.tokamak.backend.train.TrainingBatch;
import dev.tokamak.backend.train.TrainingOperation.Forward;
import dev.tokamak.backend.train.TrainingOperation.LogProbability;
import dev.tokamak.backend.train.TrainingProgram;
import dev.tokamak.backend.train.TrainingReplay;
import dev.tokamak.backend.train.TrainingShape;
import dev.tokamak.backend.train.Update;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** A training program as a plain loop over its operations. */
final class ReferenceTraining implements TrainingReplay {
  private final TrainingProgram program;
  private final Arena arena = Arena.ofShared();
  private final TrainingArrays arrays;
  private final ForwardLoops forward;
  private final BackwardLoops backward;
  private final UpdateLoops update;
  private boolean forwardDone;

  ReferenceTraining(TrainingProgram program, TrainingShape shape) {
    this.program = program;
    arrays = new TrainingArrays(program, new TrainingBatch(shape, arena));
    forward = new ForwardLoops(arrays);
    backward = new BackwardLoops(arrays, forward);
    update = new UpdateLoops(program.parameters(), arrays);
  }

  @Override
  public TrainingBatch batch() {
    return arrays.batch;
  }

  @Override
  public void forward() {
    arrays.batch.check(program);
    for (Forward operation : program.forward()) {
      forward.run(operation);
      checkFinite(operation);
    }
    forwardDone = true;
  }

  private void checkFinite(Forward operation) {
    for (Value value : operation.writes()) {
      int at = arrays.at(value);
      for (int i = 0; i < arrays.count(value); i++) {
        if (!Float.isFinite(arrays.x[at + i])) {
          throw new NotFiniteException(operation);
        }
      }
    }
    if (operation instanceof LogProbability) {
      for (int o = 0; o < arrays.batch.outputs(); o++) {
        if (!Float.isFinite(arrays.batch.logProbability(o))) {
          throw new NotFiniteException(operation);
        }
      }
    }
  }

  @Override
  public void backward() {
    if (!forwardDone) {
      throw new BackendException("backward: it needs a forward pass of its own before it");
    }
    forwardDone = false;
    program.backward().forEach(backward::run);
  }

  @Override
  public double update(Update how) {
    return update.run(how);
  }

  @Override
  public void read(State state, long offset, MemorySegment to) {
    int count = Math.toIntExact(to.byteSize() / Float.BYTES);
    MemorySegment.copy(
        array(state, offset, count), (int) offset, to, JAVA_FLOAT_UNALIGNED, 0, count);
  }

  @Override
  public void write(State state, long offset, MemorySegment from) {
    int count = Math.toIntExact(from.byteSize() / Float.BYTES);
    MemorySegment.copy(
        from, JAVA_FLOAT_UNALIGNED, 0, array(state, offset, count), (int) offset, count);
  }

  private float[] array(State state, long offset, int count) {
    float[] array =
        switch (state) {
          case WEIGHTS -> arrays.weights;
          case GRADIENTS -> arrays.gradients;
          case FIRST_MOMENT -> update.first;
          case SECOND_MOMENT -> update.second;
        };
    if (offset < 0 || offset > array.length - count) {
      throw new BackendException(
          state + ": floats " + offset + " to " + (offset + count) + " are not within "
              + array.length);
    }
    return array;
  }

  @Override
  public long bytes() {
    return Float.BYTES
        * ((long) arrays.x.length + arrays.weights.length + 3L * arrays.gradients.length);
  }

  @Override
  public void close() {
    arena.close();
  }
}
