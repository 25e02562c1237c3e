// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.tokamak.backend.nativelib.CudaNative;
import dev.tokamak.backend.train.Parameter;
import dev.tokamak.backend.train.Parameter.Role;
import dev.tokamak.backend.train.Parameters;
import dev.tokamak.backend.train.TrainingReplay.State;
import dev.tokamak.backend.train.TrainingShape;
import dev.tokamak.backend.train.Update;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** The optimisers' steps: neighbouring parameters that are treated alike are one launch. */
final class CudaUpdate {
  /** Trainable parameters behind each other, with what lies between them. */
  private record Run(long offset, long floats, boolean decays) {}

  private final CudaDriver.Stream stream;
  private final Parameters parameters;
  private final TrainingMemory memory;
  private final int arithmetic;

  CudaUpdate(
      CudaDriver.Stream stream, Parameters parameters, TrainingMemory memory,
      TrainingShape shape) {
    this.stream = stream;
    this.parameters = parameters;
    this.memory = memory;
    arithmetic = TrainingMemory.arithmetic(shape);
  }

  /** The norm of all gradients together. */
  double norm() {
    if (parameters.trainableSize() == 0) {
      return 0;
    }
    CudaKernels.check(
        CudaNative.tk_cuda_train_squares(
            stream.handle(),
            parameters.trainableSize(),
            memory.address(State.GRADIENTS, 0),
            memory.scratch(),
            memory.exchange().squares()),
        "the norm of the gradients");
    return Math.sqrt(memory.exchange().downloadSquares(stream));
  }

  /** Queues a step whose gradients have that norm. */
  void run(Update update, double norm) {
    double factor = update.clip() > 0 && norm > update.clip() ? update.clip() / norm : 1;
    boolean muon = update.optimizer() == Update.Optimizer.MUON;
    try (Arena arena = Arena.ofConfined()) {
      for (Run run : runs(muon)) {
        adamw(run, rule(arena, update, factor, run.decays));
      }
    }
    if (muon) {
      for (Parameter parameter : parameters.trainable()) {
        if (parameter.role() == Role.MATRIX) {
          muon(parameter, update, factor);
        }
      }
    }
  }

  /** What is AdamW's. */
  private List<Run> runs(boolean muon) {
    List<Run> runs = new ArrayList<>();
    long begin = 0;
    List<Parameter> trainable = parameters.trainable();
    for (int i = 0; i < trainable.size(); i++) {
      Parameter parameter = trainable.get(i);
      boolean last = i == trainable.size() - 1;
      long end = last ? parameters.trainableSize() : trainable.get(i + 1).offset();
      if (last || rule(trainable.get(i + 1), muon) != rule(parameter, muon)) {
        if (!(muon && parameter.role() == Role.MATRIX)) {
          runs.add(new Run(begin, end - begin, parameter.role() != Role.VECTOR));
        }
        begin = end;
      }
    }
    return runs;
  }

  private static Role rule(Parameter parameter, boolean muon) {
    return !muon && parameter.role() == Role.MATRIX ? Role.TABLE : parameter.role();
  }

  /** A {@code tk_cuda_adamw}. */
  private static MemorySegment rule(Arena arena, Update update, double factor, boolean decays) {
    double step = update.step();
    double[] rule = {
      factor,
      1 - update.beta1(),
      1 - update.beta2(),
      update.epsilon(),
      update.learningRate() / (1 - Math.pow(update.beta1(), step)),
      1 / Math.sqrt(1 - Math.pow(update.beta2(), step)),
      decays ? update.learningRate() * update.weightDecay() : 0
    };
    MemorySegment memory = arena.allocate(JAVA_FLOAT, rule.length);
    for (int i = 0; i < rule.length; i++) {
      memory.setAtIndex(JAVA_FLOAT, i, (float) rule[i]);
    }
    return memory;
  }

  private void adamw(Run run, MemorySegment rule) {
    CudaKernels.check(
        CudaNative.tk_cuda_train_adamw(
            stream.handle(),
            run.floats,
            rule.address(),
            memory.address(State.WEIGHTS, run.offset),
            memory.address(State.GRADIENTS, run.offset),
            memory.address(State.FIRST_MOMENT, run.offset),
            memory.address(State.SECOND_MOMENT, run.offset)),
        "adamw");
  }

  private void muon(Parameter parameter, Update update, double factor) {
    double scale =
        Update.MUON_SCALE * Math.sqrt(Math.max(parameter.rows(), parameter.cols()));
    CudaKernels.check(
        CudaNative.tk_cuda_train_muon(
            stream.handle(),
            arithmetic,
            parameter.rows(),
            parameter.cols(),
            (float) factor,
            (float) (1 - Update.MUON_MOMENTUM),
            (float) (update.learningRate() * scale),
            (float) (update.learningRate() * update.weightDecay()),
            memory.scratch(),
            memory.weight(parameter),
            memory.gradient(parameter),
            memory.address(State.FIRST_MOMENT, parameter.offset())),
        "muon of " + parameter);
  }
}
