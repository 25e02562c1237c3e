// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.reference;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.Backends;
import dev.tokamak.backend.Limits;
import dev.tokamak.backend.Program;
import dev.tokamak.backend.Replay;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.machine.Libc;
import dev.tokamak.backend.train.TrainingProgram;
import dev.tokamak.backend.train.TrainingReplay;
import dev.tokamak.backend.train.TrainingShape;
import java.util.List;

/**
 * The operations in plain Java, as they stand in the contract: every sum in double precision, in
 * index order, no cleverness. It is the oracle that the fast backends are tested against, and the
 * last resort on machines without native kernels.
 */
public final class ReferenceBackend implements Backend {
  private final boolean lockMemory;

  /** Opens it; it runs everywhere. */
  public ReferenceBackend(Backends.Options options) {
    lockMemory = options.lockMemory();
  }

  @Override
  public String name() {
    return "reference";
  }

  @Override
  public String variant() {
    return name();
  }

  @Override
  public String description() {
    return "plain Java, 1 thread";
  }

  /** Nothing to make ready: weights are decoded where they lie, row by row. */
  @Override
  public Weights load(List<Tensor> matrices, Progress progress) {
    if (lockMemory) {
      matrices.forEach(m -> Libc.lock(m.data().address(), m.data().byteSize()));
    }
    return () -> {};
  }

  @Override
  public Replay prepare(Program program, Weights weights, Limits limits) {
    return new ReferenceReplay(program, limits);
  }

  @Override
  public TrainingReplay prepare(TrainingProgram program, TrainingShape shape) {
    return new ReferenceTraining(program, shape);
  }

  @Override
  public void close() {}
}
