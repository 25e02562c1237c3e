// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cpu;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.NotFiniteException;
import dev.tokamak.backend.Value;
import dev.tokamak.backend.nativelib.Abi;
import dev.tokamak.backend.nativelib.NativeLibrary;
import dev.tokamak.backend.nativelib.TokamakNative;
import dev.tokamak.backend.train.Parameter;
import dev.tokamak.backend.train.Parameters;
import dev.tokamak.backend.train.Placement;
import dev.tokamak.backend.train.TrainingBatch;
import dev.tokamak.backend.train.TrainingOperation;
import dev.tokamak.backend.train.TrainingProgram;
import dev.tokamak.backend.train.TrainingReplay;
import dev.tokamak.backend.train.TrainingShape;
import dev.tokamak.backend.train.Update;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.stream.Stream;

/** A training program as a native training tape: each pass and each update is one native call. */
final class CpuTraining implements TrainingReplay {
  private final TrainingProgram program;
  private final List<TrainingOperation> operations;
  private final NativeMemory memory = new NativeMemory();
  private final Arena arena = Arena.ofShared();
  private final TrainingBatch batch;
  private final Placement placement;
  private final long values;
  private final MemorySegment weights;
  private final MemorySegment gradients;
  private final MemorySegment firstMoments;
  private final MemorySegment secondMoments;
  private final MemorySegment norm;
  private long tape;

  CpuTraining(long team, TrainingProgram program, TrainingShape shape) {
    this.program = program;
    operations =
        Stream.<TrainingOperation>concat(program.forward().stream(), program.backward().stream())
            .toList();
    Parameters parameters = program.parameters();
    try {
      batch = new TrainingBatch(shape, arena);
      norm = arena.allocate(JAVA_DOUBLE);
      placement = Placement.of(program, shape);
      values =
          memory.allocate(
              Math.multiplyExact(placement.size(), (long) Float.BYTES),
              "activations (make steps smaller)");
      weights = array(parameters.size(), "weights");
      gradients = array(parameters.trainableSize(), "gradients");
      firstMoments = array(parameters.trainableSize(), "first moments");
      secondMoments = array(parameters.trainableSize(), "second moments");
      TrainingBatch.Arrays a = batch.arrays();
      tape =
          TokamakNative.tk_train_create(
              team,
              shape.rows(),
              shape.outputs(),
              arithmetic(shape.arithmetic()),
              a.tokens().address(),
              a.positions().address(),
              a.starts().address(),
              a.outputs().address(),
              a.targets().address(),
              a.coefficients().address(),
              a.logProbabilities().address());
      if (tape == 0) {
        throw new BackendException("cpu: " + NativeLibrary.lastError());
      }
      program.forward().forEach(this::record);
      CpuBackend.check(TokamakNative.tk_train_begin_backward(tape), "backward pass");
      program.backward().forEach(this::record);
      describeParameters(parameters);
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  private static int arithmetic(TrainingShape.Arithmetic arithmetic) {
    return switch (arithmetic) {
      case F32 -> TokamakNative.TK_ARITHMETIC_F32;
      case BF16 -> TokamakNative.TK_ARITHMETIC_BF16;
    };
  }

  @SuppressWarnings("restricted") // Our own memory, with the size that it was allocated with.
  private MemorySegment array(long floats, String what) {
    long bytes = Math.multiplyExact(floats, (long) Float.BYTES);
    return MemorySegment.ofAddress(memory.allocate(bytes, what)).reinterpret(bytes);
  }

  private void describeParameters(Parameters parameters) {
    if (parameters.trainable().isEmpty()) {
      return;
    }
    CpuBackend.check(
        TokamakNative.tk_train_state(
            tape,
            weights.address(),
            gradients.address(),
            firstMoments.address(),
            secondMoments.address(),
            parameters.trainableSize()),
        "state");
    for (Parameter p : parameters.trainable()) {
      int role =
          switch (p.role()) {
            case MATRIX -> TokamakNative.TK_ROLE_MATRIX;
            case TABLE -> TokamakNative.TK_ROLE_TABLE;
            case VECTOR -> TokamakNative.TK_ROLE_VECTOR;
          };
      CpuBackend.check(
          TokamakNative.tk_train_parameter(tape, role, p.rows(), p.cols(), p.offset()),
          "parameter " + p);
    }
  }

  private void record(TrainingOperation operation) {
    CpuBackend.check(append(operation), operation.name());
  }

  private int append(TrainingOperation operation) {
    return switch (operation) {
      case TrainingOperation.Forward op -> append(op);
      case TrainingOperation.LogProbabilityGradient op ->
          TokamakNative.tk_train_log_probability_gradient(
              tape, at(op.logits()), op.logits().width(), at(op.logSums()));
      case TrainingOperation.EmbedGradient op ->
          TokamakNative.tk_train_embed_gradient(
              tape,
              at(op.outGradient()),
              op.table().rows(),
              op.table().cols(),
              gradient(op.table()));
      case TrainingOperation.NormGradient op ->
          TokamakNative.tk_train_norm_gradient(
              tape,
              Abi.rows(op.x()),
              at(op.x()),
              op.x().width(),
              at(op.weight()),
              op.weight().cols(),
              op.epsilon(),
              at(op.outGradient()),
              at(op.xGradient()),
              gradient(op.weight()));
      case TrainingOperation.InputGradient op ->
          TokamakNative.tk_train_input_gradient(
              tape,
              Abi.rows(op.outGradient()),
              at(op.outGradient()),
              op.weight().rows(),
              at(op.weight()),
              op.weight().cols(),
              op.accumulate() ? 1 : 0,
              at(op.xGradient()));
      case TrainingOperation.WeightGradient op ->
          TokamakNative.tk_train_weight_gradient(
              tape,
              Abi.rows(op.outGradient()),
              at(op.outGradient()),
              op.weight().rows(),
              at(op.x()),
              op.weight().cols(),
              gradient(op.weight()));
      case TrainingOperation.BiasGradient op ->
          TokamakNative.tk_train_bias_gradient(
              tape,
              Abi.rows(op.outGradient()),
              at(op.outGradient()),
              op.outGradient().width(),
              gradient(op.bias()));
      case TrainingOperation.AttentionGradient op -> append(op);
      case TrainingOperation.GateGradient op ->
          TokamakNative.tk_train_gate_gradient(
              tape,
              Abi.rows(op.gate()),
              at(op.gate()),
              at(op.up()),
              op.gate().width(),
              at(op.outGradient()),
              at(op.gateGradient()),
              at(op.upGradient()));
      case TrainingOperation.SelectGradient op ->
          TokamakNative.tk_train_select_gradient(
              tape, at(op.outGradient()), op.xGradient().width(), at(op.xGradient()));
    };
  }

  private int append(TrainingOperation.Forward operation) {
    return switch (operation) {
      case TrainingOperation.Embed op ->
          TokamakNative.tk_train_embed(
              tape, at(op.table()), op.table().rows(), op.table().cols(), at(op.out()));
      case TrainingOperation.Norm op ->
          TokamakNative.tk_train_norm(
              tape,
              Abi.rows(op.x()),
              at(op.x()),
              op.x().width(),
              at(op.weight()),
              op.weight().cols(),
              op.epsilon(),
              at(op.out()));
      case TrainingOperation.MatMul op ->
          TokamakNative.tk_train_matmul(
              tape,
              Abi.rows(op.x()),
              at(op.x()),
              op.weight().cols(),
              at(op.weight()),
              op.weight().rows(),
              op.bias().map(this::at).orElse(0L),
              at(op.out()));
      case TrainingOperation.Rope op ->
          TokamakNative.tk_train_rope(
              tape,
              at(op.x()),
              op.x().width() / op.headDim(),
              op.headDim(),
              op.table().cols(),
              Abi.pairing(op.pairing()),
              op.table().data().address(),
              op.table().rows(),
              op.inverse() ? 1 : 0,
              at(op.out()));
      case TrainingOperation.Attention op ->
          TokamakNative.tk_train_attention(
              tape,
              at(op.q()),
              at(op.k()),
              at(op.v()),
              op.q().width() / op.headDim(),
              op.k().width() / op.headDim(),
              op.headDim(),
              op.scale(),
              at(op.out()),
              at(op.logSums()));
      case TrainingOperation.Gate op ->
          TokamakNative.tk_train_gate(
              tape,
              Abi.rows(op.gate()),
              at(op.gate()),
              at(op.up()),
              op.gate().width(),
              at(op.out()));
      case TrainingOperation.Add op ->
          TokamakNative.tk_train_add(
              tape, Abi.rows(op.x()), at(op.x()), at(op.y()), op.x().width(), at(op.out()));
      case TrainingOperation.Scale op ->
          TokamakNative.tk_train_scale(
              tape, Abi.rows(op.x()), at(op.x()), op.factor(), op.x().width(), at(op.out()));
      case TrainingOperation.Select op ->
          TokamakNative.tk_train_select(tape, at(op.x()), op.x().width(), at(op.out()));
      case TrainingOperation.LogProbability op ->
          TokamakNative.tk_train_log_probability(
              tape, at(op.logits()), op.logits().width(), at(op.logSums()));
    };
  }

  private int append(TrainingOperation.AttentionGradient op) {
    TrainingOperation.Attention forward = op.forward();
    return TokamakNative.tk_train_attention_gradient(
        tape,
        at(forward.q()),
        at(forward.k()),
        at(forward.v()),
        at(forward.out()),
        at(forward.logSums()),
        forward.q().width() / forward.headDim(),
        forward.k().width() / forward.headDim(),
        forward.headDim(),
        forward.scale(),
        at(op.outGradient()),
        at(op.qGradient()),
        at(op.kGradient()),
        at(op.vGradient()));
  }

  private long at(Value value) {
    return values + placement.offset(value) * Float.BYTES;
  }

  private long at(Parameter parameter) {
    return weights.address() + parameter.offset() * Float.BYTES;
  }

  /** 0 where it is frozen. */
  private long gradient(Parameter parameter) {
    return parameter.trainable() ? gradients.address() + parameter.offset() * Float.BYTES : 0;
  }

  @Override
  public TrainingBatch batch() {
    return batch;
  }

  @Override
  public void forward() {
    batch.check(program);
    check(TokamakNative.tk_train_forward(tape, batch.rows(), batch.outputs()), "forward");
  }

  @Override
  public void backward() {
    check(TokamakNative.tk_train_backward(tape, batch.rows(), batch.outputs()), "backward");
  }

  private void check(int status, String what) {
    if (status == TokamakNative.TK_NOT_FINITE) {
      throw new NotFiniteException(operations.get(TokamakNative.tk_train_failed(tape)));
    }
    CpuBackend.check(status, what);
  }

  @Override
  public double update(Update update) {
    int optimizer =
        switch (update.optimizer()) {
          case ADAMW -> TokamakNative.TK_OPTIMIZER_ADAMW;
          case MUON -> TokamakNative.TK_OPTIMIZER_MUON;
        };
    int status =
        TokamakNative.tk_train_update(
            tape,
            optimizer,
            update.step(),
            update.learningRate(),
            update.weightDecay(),
            update.clip(),
            update.beta1(),
            update.beta2(),
            update.epsilon(),
            Update.MUON_MOMENTUM,
            norm.address());
    double value = norm.get(JAVA_DOUBLE, 0);
    if (status == TokamakNative.TK_NOT_FINITE) {
      int failed = TokamakNative.tk_train_failed(tape);
      throw new BackendException(
          "update: the norm of the gradients is " + value + ", first not finite is that of "
              + program.parameters().trainable().get(failed) + "; no weight has changed");
    }
    CpuBackend.check(status, "update");
    return value;
  }

  @Override
  public void read(State state, long offset, MemorySegment to) {
    to.copyFrom(slice(state, offset, to.byteSize()));
  }

  @Override
  public void write(State state, long offset, MemorySegment from) {
    slice(state, offset, from.byteSize()).copyFrom(from);
  }

  private MemorySegment slice(State state, long offset, long bytes) {
    MemorySegment array =
        switch (state) {
          case WEIGHTS -> weights;
          case GRADIENTS -> gradients;
          case FIRST_MOMENT -> firstMoments;
          case SECOND_MOMENT -> secondMoments;
        };
    long floats = array.byteSize() / Float.BYTES;
    long count = bytes / Float.BYTES;
    if (offset < 0 || count > floats || offset > floats - count) {
      throw new BackendException(
          state + ": floats " + offset + " to " + (offset + count) + " are not within " + floats);
    }
    return array.asSlice(offset * Float.BYTES, count * Float.BYTES);
  }

  @Override
  public long bytes() {
    return memory.bytes();
  }

  @Override
  public void close() {
    if (tape != 0) {
      TokamakNative.tk_train_free(tape);
      tape = 0;
    }
    memory.close();
    arena.close();
  }
}
