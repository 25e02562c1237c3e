// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Value;
import dev.tokamak.backend.nativelib.Abi;
import dev.tokamak.backend.nativelib.CudaLibrary;
import dev.tokamak.backend.nativelib.CudaNative;
import dev.tokamak.backend.train.Parameter;
import dev.tokamak.backend.train.TrainingBatch;
import dev.tokamak.backend.train.TrainingOperation;
import java.util.Optional;

/**
 * Calls the kernels for the operations of one training step. Values are packed as factors before the
 * first product that wants them; the products behind it find them packed.
 */
final class TrainingLaunches implements AutoCloseable {
  private final CudaDriver.Stream stream;
  private final TrainingMemory memory;
  private final TrainingBatch batch;
  private final int arithmetic;
  private final long step;
  private Optional<Value> packedLeft = Optional.empty();
  private Optional<Value> packedRight = Optional.empty();

  /** For a batch that is on its way to the device. */
  TrainingLaunches(CudaDriver.Stream stream, TrainingMemory memory, TrainingBatch batch) {
    this.stream = stream;
    this.memory = memory;
    this.batch = batch;
    arithmetic = TrainingMemory.arithmetic(batch.shape());
    step = memory.exchange().step(stream, batch);
    if (step == 0) {
      throw new BackendException("cuda: " + CudaLibrary.lastError());
    }
  }

  /** Queues the work of an operation. */
  void launch(TrainingOperation operation) {
    CudaKernels.check(
        operation instanceof TrainingOperation.Forward forward
            ? call(forward)
            : callBackward(operation),
        operation.name());
    operation.writes().forEach(this::written);
  }

  /** What was packed of a value is its content no more. */
  private void written(Value value) {
    packedLeft = packedLeft.filter(other -> !other.equals(value));
    packedRight = packedRight.filter(other -> !other.equals(value));
  }

  /** Queues a look at what an operation wrote: the flag is lowered to {@code number} if it fails. */
  void check(TrainingOperation operation, int number) {
    for (Value value : operation.writes()) {
      CudaKernels.check(
          CudaNative.tk_cuda_check(
              step,
              Abi.rows(value),
              at(value),
              value.width(),
              number,
              memory.exchange().flag()),
          "the check of " + operation.name());
    }
  }

  private int call(TrainingOperation.Forward operation) {
    return switch (operation) {
      case TrainingOperation.Embed op ->
          CudaNative.tk_cuda_embed(
              step,
              QuantType.F32.ggufId(),
              op.table().rows(),
              op.table().cols(),
              memory.weight(op.table()),
              at(op.out()));
      case TrainingOperation.Norm op ->
          CudaNative.tk_cuda_norm(
              step,
              Abi.rows(op.x()),
              at(op.x()),
              op.x().width(),
              memory.weight(op.weight()),
              op.weight().cols(),
              op.epsilon(),
              at(op.out()));
      case TrainingOperation.MatMul op ->
          CudaNative.tk_cuda_train_matmul(
              stream.handle(),
              arithmetic,
              rows(op.x()),
              right(op.x()),
              op.weight().cols(),
              memory.packed(op.weight()),
              op.weight().rows(),
              op.bias().map(memory::weight).orElse(0L),
              at(op.out()));
      case TrainingOperation.Rope op ->
          CudaNative.tk_cuda_train_rope(
              step,
              at(op.x()),
              op.x().width() / op.headDim(),
              op.headDim(),
              op.table().cols(),
              Abi.pairing(op.pairing()),
              memory.table(op.table()),
              op.table().rows(),
              op.inverse() ? 1 : 0,
              at(op.out()));
      case TrainingOperation.Attention op ->
          CudaNative.tk_cuda_train_attention(
              step,
              arithmetic,
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
          CudaNative.tk_cuda_gate(
              step,
              Abi.rows(op.gate()),
              at(op.gate()),
              at(op.up()),
              op.gate().width(),
              at(op.out()));
      case TrainingOperation.Add op ->
          CudaNative.tk_cuda_train_add(
              stream.handle(), rows(op.x()), at(op.x()), at(op.y()), op.x().width(), at(op.out()));
      case TrainingOperation.Scale op ->
          CudaNative.tk_cuda_train_scale(
              stream.handle(), rows(op.x()), at(op.x()), op.factor(), op.x().width(),
              at(op.out()));
      case TrainingOperation.Select op ->
          CudaNative.tk_cuda_select(step, at(op.x()), op.x().width(), at(op.out()));
      case TrainingOperation.LogProbability op ->
          CudaNative.tk_cuda_train_log_probability(
              step,
              at(op.logits()),
              op.logits().width(),
              memory.exchange().targets(),
              at(op.logSums()),
              memory.exchange().logProbabilities());
    };
  }

  private int callBackward(TrainingOperation operation) {
    return switch (operation) {
      case TrainingOperation.Forward op -> call(op);
      case TrainingOperation.LogProbabilityGradient op ->
          CudaNative.tk_cuda_train_log_probability_gradient(
              step,
              at(op.logits()),
              op.logits().width(),
              memory.exchange().targets(),
              at(op.logSums()),
              memory.exchange().coefficients());
      case TrainingOperation.EmbedGradient op ->
          CudaNative.tk_cuda_train_embed_gradient(
              step, at(op.outGradient()), op.table().cols(), memory.gradient(op.table()));
      case TrainingOperation.NormGradient op ->
          CudaNative.tk_cuda_train_norm_gradient(
              stream.handle(),
              rows(op.x()),
              at(op.x()),
              op.x().width(),
              memory.weight(op.weight()),
              op.weight().cols(),
              op.epsilon(),
              at(op.outGradient()),
              at(op.xGradient()),
              memory.scratch(),
              memory.gradient(op.weight()));
      case TrainingOperation.InputGradient op ->
          CudaNative.tk_cuda_train_input_gradient(
              stream.handle(),
              arithmetic,
              rows(op.outGradient()),
              left(op.outGradient()),
              op.weight().rows(),
              memory.packed(op.weight()),
              op.weight().cols(),
              op.accumulate() ? 1 : 0,
              at(op.xGradient()));
      case TrainingOperation.WeightGradient op ->
          CudaNative.tk_cuda_train_weight_gradient(
              stream.handle(),
              arithmetic,
              rows(op.x()),
              left(op.outGradient()),
              op.weight().rows(),
              right(op.x()),
              op.weight().cols(),
              memory.scratch(),
              memory.gradient(op.weight()));
      case TrainingOperation.BiasGradient op ->
          CudaNative.tk_cuda_train_bias_gradient(
              stream.handle(),
              rows(op.outGradient()),
              at(op.outGradient()),
              op.outGradient().width(),
              memory.scratch(),
              memory.gradient(op.bias()));
      case TrainingOperation.AttentionGradient op -> attentionGradient(op);
      case TrainingOperation.GateGradient op ->
          CudaNative.tk_cuda_train_gate_gradient(
              stream.handle(),
              rows(op.gate()),
              at(op.gate()),
              at(op.up()),
              op.gate().width(),
              at(op.outGradient()),
              at(op.gateGradient()),
              at(op.upGradient()));
      case TrainingOperation.SelectGradient op ->
          CudaNative.tk_cuda_train_select_gradient(
              step, at(op.outGradient()), op.xGradient().width(), at(op.xGradient()));
    };
  }

  private int attentionGradient(TrainingOperation.AttentionGradient op) {
    TrainingOperation.Attention forward = op.forward();
    return CudaNative.tk_cuda_train_attention_gradient(
        step,
        arithmetic,
        at(forward.q()),
        at(forward.k()),
        at(forward.v()),
        forward.q().width() / forward.headDim(),
        forward.k().width() / forward.headDim(),
        forward.headDim(),
        forward.scale(),
        at(forward.out()),
        at(forward.logSums()),
        at(op.outGradient()),
        memory.scratch(),
        at(op.qGradient()),
        at(op.kGradient()),
        at(op.vGradient()));
  }

  private long at(Value value) {
    return memory.value(value);
  }

  private long rows(Value value) {
    return value.rows() == Value.Rows.STEP ? batch.rows() : batch.outputs();
  }

  /** An output's gradient as a factor. */
  private long left(Value value) {
    if (!packedLeft.equals(Optional.of(value))) {
      pack(value, memory.leftFactor());
      packedLeft = Optional.of(value);
    }
    return memory.leftFactor();
  }

  /** A product's input as a factor. */
  private long right(Value value) {
    if (!packedRight.equals(Optional.of(value))) {
      pack(value, memory.rightFactor());
      packedRight = Optional.of(value);
    }
    return memory.rightFactor();
  }

  private void pack(Value value, long packed) {
    CudaKernels.check(
        CudaNative.tk_cuda_train_pack(
            stream.handle(), arithmetic, rows(value), value.width(), at(value), packed),
        "packing " + value);
  }

  /** Queues the packing of a weight. */
  void pack(Parameter weight) {
    CudaKernels.check(
        CudaNative.tk_cuda_train_pack(
            stream.handle(),
            arithmetic,
            weight.rows(),
            weight.cols(),
            memory.weight(weight),
            memory.packed(weight)),
        "packing " + weight);
  }

  @Override
  public void close() {
    CudaNative.tk_cuda_step_free(step);
  }
}
