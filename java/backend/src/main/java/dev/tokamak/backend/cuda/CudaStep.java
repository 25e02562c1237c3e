// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Batch;
import dev.tokamak.backend.CacheShape;
import dev.tokamak.backend.Limits;
import dev.tokamak.backend.Operation;
import dev.tokamak.backend.Program;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.Value;
import dev.tokamak.backend.nativelib.Abi;
import dev.tokamak.backend.nativelib.CudaLibrary;
import dev.tokamak.backend.nativelib.CudaNative;

/** Calls the kernels for the operations of steps of at most so many rows, on one stream. */
final class CudaStep implements AutoCloseable {
  private final Program program;
  private final CudaWeights weights;
  private final StepMemory memory;
  private final long step;

  /**
   * @param rows at most
   * @param outputs at most; at least 1
   */
  CudaStep(
      CudaDriver.Stream stream, Program program, CudaWeights weights, StepMemory memory,
      Limits limits, int rows, int outputs) {
    this.program = program;
    this.weights = weights;
    this.memory = memory;
    Batch.Addresses batch = memory.deviceBatch();
    step =
        CudaNative.tk_cuda_step_create(
            stream.handle(),
            rows,
            outputs,
            batch.counts(),
            batch.tokens(),
            batch.positions(),
            batch.sequences(),
            batch.outputs(),
            batch.pageTable(),
            limits.sequences(),
            limits.pagesPerSequence());
    if (step == 0) {
      throw new BackendException("cuda: " + CudaLibrary.lastError());
    }
    CacheShape cache = program.cache();
    try {
      CudaKernels.check(
          CudaNative.tk_cuda_cache(
              step,
              cache.type().ggufId(),
              cache.layers(),
              cache.kvHeads(),
              cache.headDim(),
              limits.pages(),
              memory.cache()),
          "the cache");
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** Queues the work of a launch. */
  void launch(Launch launch) {
    switch (launch) {
      case Launch.One one -> CudaKernels.check(call(one.operation()), one.operation().label());
      case Launch.RopeStore fused ->
          CudaKernels.check(ropeStore(fused), fused.store().label() + " with its ropes");
    }
  }

  /** Queues a look at an operation's output: the flag is lowered to {@code number} if it fails. */
  void check(Operation operation, int number) {
    Value out = operation.output();
    CudaKernels.check(
        CudaNative.tk_cuda_check(
            step, Abi.rows(out), at(out), out.width(), number, memory.deviceFlag()),
        "the check of " + operation.label());
  }

  /**
   * Queues the choice of a token for each output.
   *
   * @param logProbabilities whether theirs and those of the likeliest are computed too
   */
  void sample(CudaSampler.Addresses at, boolean logProbabilities) {
    long logits = at(program.logits());
    int vocabulary = program.logits().width();
    CudaKernels.check(
        CudaNative.tk_cuda_sample(
            step,
            logits,
            vocabulary,
            at.samplers(),
            at.recent(),
            CudaSampler.MOST_RECENT,
            at.scratch(),
            at.tokens()),
        "the choice of tokens");
    if (logProbabilities) {
      CudaKernels.check(
          CudaNative.tk_cuda_logprobs(
              step,
              logits,
              vocabulary,
              at.tokens(),
              CudaSampler.tops(vocabulary),
              at.scratch(),
              at.chosen(),
              at.topTokens(),
              at.topLogprobs()),
          "the log probabilities of tokens");
    }
  }

  private int call(Operation operation) {
    return switch (operation) {
      case Operation.Embed op -> embed(op.table(), at(op.out()));
      case Operation.Norm op ->
          CudaNative.tk_cuda_norm(
              step,
              Abi.rows(op.x()),
              at(op.x()),
              op.x().width(),
              weights.plain(op.weight()),
              op.weight().cols(),
              op.epsilon(),
              at(op.out()));
      case Operation.MatMul op ->
          CudaNative.tk_cuda_matmul(
              step,
              Abi.rows(op.x()),
              at(op.x()),
              op.weight().cols(),
              op.weight().type().ggufId(),
              weights.packed(op.weight()),
              op.weight().rows(),
              op.bias().map(weights::plain).orElse(0L),
              at(op.out()));
      case Operation.Rope op ->
          CudaNative.tk_cuda_rope(
              step,
              at(op.x()),
              op.x().width() / op.headDim(),
              op.headDim(),
              op.table().cols(),
              Abi.pairing(op.pairing()),
              memory.table(op.table()),
              op.table().rows());
      case Operation.Store op ->
          CudaNative.tk_cuda_store(step, op.layer(), at(op.k()), at(op.v()));
      case Operation.Attention op ->
          CudaNative.tk_cuda_attention(
              step,
              op.layer(),
              at(op.q()),
              op.q().width() / program.cache().headDim(),
              op.scale(),
              memory.scratch(),
              at(op.out()));
      case Operation.Gate op ->
          CudaNative.tk_cuda_gate(
              step,
              Abi.rows(op.gate()),
              at(op.gate()),
              at(op.up()),
              op.gate().width(),
              at(op.out()));
      case Operation.Add op ->
          CudaNative.tk_cuda_add(step, Abi.rows(op.x()), at(op.x()), at(op.y()), op.x().width());
      case Operation.Select op ->
          CudaNative.tk_cuda_select(step, at(op.x()), op.x().width(), at(op.out()));
    };
  }

  /** A table that is a matmul's weight too is read in its packed form. */
  private int embed(Tensor table, long out) {
    int type = table.type().ggufId();
    return weights.holds(table)
        ? CudaNative.tk_cuda_embed_packed(
            step, type, table.rows(), table.cols(), weights.packed(table), out)
        : CudaNative.tk_cuda_embed(
            step, type, table.rows(), table.cols(), weights.plain(table), out);
  }

  private int ropeStore(Launch.RopeStore fused) {
    Operation.Rope q = fused.q();
    Operation.Store store = fused.store();
    return CudaNative.tk_cuda_rope_store(
        step,
        store.layer(),
        at(q.x()),
        q.x().width() / q.headDim(),
        at(store.k()),
        at(store.v()),
        q.table().cols(),
        Abi.pairing(q.pairing()),
        memory.table(q.table()),
        q.table().rows());
  }

  private long at(Value value) {
    return memory.value(value);
  }

  @Override
  public void close() {
    CudaNative.tk_cuda_step_free(step);
  }
}
