// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.NotFiniteException;
import dev.tokamak.backend.train.Parameter;
import dev.tokamak.backend.train.TrainingBatch;
import dev.tokamak.backend.train.TrainingOperation.Forward;
import dev.tokamak.backend.train.TrainingProgram;
import dev.tokamak.backend.train.TrainingReplay;
import dev.tokamak.backend.train.TrainingShape;
import dev.tokamak.backend.train.Update;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A training program on the device. Its kernels are launched one by one on a stream rather than
 * captured as graphs: a step has many rows, so a kernel runs for longer than its launch takes and
 * the queue stays full, since only a forward pass and the norm of an update are waited for; and
 * grids are as large as the batch, whatever sizes come.
 */
final class CudaTraining implements TrainingReplay {
  private final CudaDevice device;
  private final TrainingProgram program;
  private final Arena arena = Arena.ofShared();
  private final TrainingBatch batch;
  private final CudaDriver.Stream stream;
  private final TrainingMemory memory;
  private final CudaUpdate update;
  private Optional<TrainingLaunches> launches = Optional.empty(); // of the last forward pass
  private final Set<Parameter> unpacked = new LinkedHashSet<>(); // factors that have changed
  private boolean forwardDone;
  private boolean closed;

  CudaTraining(CudaDevice device, TrainingProgram program, TrainingShape shape) {
    this.device = device;
    this.program = program;
    device.requireAlive();
    batch = new TrainingBatch(shape, arena);
    CudaDriver.Stream opened = null;
    try {
      opened = device.driver().stream();
      memory = new TrainingMemory(device.driver(), opened, program, shape);
    } catch (RuntimeException | Error e) {
      if (opened != null) {
        opened.close();
      }
      arena.close();
      if (e instanceof CudaException failure) {
        device.failed(failure);
      }
      throw e;
    }
    stream = opened;
    unpacked.addAll(memory.factors());
    update = new CudaUpdate(stream, program.parameters(), memory, shape);
  }

  @Override
  public TrainingBatch batch() {
    return batch;
  }

  @Override
  public void forward() {
    batch.check(program);
    forwardDone = false;
    onDevice(
        () -> {
          begin();
          program.forward().forEach(launches.orElseThrow()::launch);
          memory.exchange().downloadLogProbabilities(stream, batch);
        });
    for (int output = 0; output < batch.outputs(); output++) {
      if (!Float.isFinite(batch.logProbability(output))) {
        throw new NotFiniteException(firstNotFinite());
      }
    }
    forwardDone = true;
  }

  /** Brings the batch to the device, and weights into the form of factors. */
  private void begin() {
    launches.ifPresent(TrainingLaunches::close);
    launches = Optional.empty();
    memory.exchange().upload(stream, batch);
    launches = Optional.of(new TrainingLaunches(stream, memory, batch));
    unpacked.forEach(launches.get()::pack);
    unpacked.clear();
  }

  /** Runs the forward pass again and looks at what each operation writes. */
  private Forward firstNotFinite() {
    List<Forward> operations = program.forward();
    int[] first = {operations.size()};
    onDevice(
        () -> {
          begin();
          memory.exchange().uploadFlag(stream);
          for (int i = 0; i < operations.size(); i++) {
            launches.orElseThrow().launch(operations.get(i));
            launches.orElseThrow().check(operations.get(i), i);
          }
          first[0] = memory.exchange().downloadFlag(stream);
        });
    return operations.get(Math.min(first[0], operations.size() - 1));
  }

  @Override
  public void backward() {
    if (!forwardDone) {
      throw new BackendException("backward: it needs a forward pass of its own before it");
    }
    MemorySegment coefficients = batch.arrays().coefficients();
    for (int output = 0; output < batch.outputs(); output++) {
      float coefficient = coefficients.getAtIndex(JAVA_FLOAT, output);
      if (!Float.isFinite(coefficient)) {
        throw new BackendException(
            "backward: coefficients[" + output + "]=" + coefficient + ", must be finite");
      }
    }
    forwardDone = false;
    onDevice(
        () -> {
          memory.exchange().uploadCoefficients(stream, batch);
          program.backward().forEach(launches.orElseThrow()::launch);
        });
  }

  @Override
  public double update(Update how) {
    double[] norm = new double[1];
    onDevice(
        () -> {
          norm[0] = update.norm();
          if (!Double.isFinite(norm[0])) {
            throw new BackendException(
                "update: the norm of the gradients is " + norm[0] + "; no weight has changed");
          }
          memory.factors().stream().filter(Parameter::trainable).forEach(unpacked::add);
          update.run(how, norm[0]);
        });
    return norm[0];
  }

  @Override
  public void read(State state, long offset, MemorySegment to) {
    long from = address(state, offset, to);
    onDevice(() -> memory.download(stream, to, from));
  }

  @Override
  public void write(State state, long offset, MemorySegment from) {
    long to = address(state, offset, from);
    onDevice(
        () -> {
          if (state == State.WEIGHTS) {
            unpacked.addAll(memory.factors());
          }
          memory.upload(stream, to, from);
        });
  }

  private long address(State state, long offset, MemorySegment floats) {
    long count = floats.byteSize() / Float.BYTES;
    long size = memory.floats(state);
    if (offset < 0 || count > size || offset > size - count) {
      throw new BackendException(
          state + ": floats " + offset + " to " + (offset + count) + " are not within " + size);
    }
    return memory.address(state, offset);
  }

  /** Work on the device; after a failure that ends it, there is no more. */
  private void onDevice(Runnable work) {
    device.requireAlive();
    try {
      work.run();
    } catch (CudaException e) {
      device.failed(e);
      throw e;
    }
  }

  @Override
  public long bytes() {
    return memory.bytes();
  }

  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    launches.ifPresent(TrainingLaunches::close);
    stream.close();
    memory.close();
    arena.close();
  }
}
