// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cpu;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Batch;
import dev.tokamak.backend.CacheShape;
import dev.tokamak.backend.Limits;
import dev.tokamak.backend.NotFiniteException;
import dev.tokamak.backend.Operation;
import dev.tokamak.backend.Program;
import dev.tokamak.backend.Replay;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.Value;
import dev.tokamak.backend.nativelib.Abi;
import dev.tokamak.backend.nativelib.NativeLibrary;
import dev.tokamak.backend.nativelib.TokamakNative;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.function.BooleanSupplier;

/** A program as a native tape, with its activations and cache in native memory. */
final class CpuReplay implements Replay {
  /** A step of no more rows takes about as long as one token. */
  private static final int FEW_ROWS = 16;

  private static final VarHandle WORD = JAVA_INT.varHandle();

  private final StepThread stepThread;
  private final Program program;
  private final PackedWeights weights;
  private final NativeMemory memory = new NativeMemory();
  private final Arena arena = Arena.ofShared();
  private final Batch batch;
  private final long[] values;
  private final MemorySegment logits;
  private final MemorySegment stop = arena.allocate(JAVA_INT);
  private long tape;

  CpuReplay(long team, StepThread stepThread, Program program, PackedWeights weights, Limits limits) {
    this.stepThread = stepThread;
    this.program = program;
    this.weights = weights;
    try {
      batch = new Batch(limits, arena);
      values = new long[program.values().size()];
      for (Value value : program.values()) {
        values[value.id()] = memory.allocate(bytes(value, limits), "value " + value);
      }
      Batch.Addresses a = batch.addresses();
      tape =
          TokamakNative.tk_cpu_tape_create(
              team,
              limits.rows(),
              limits.outputs(),
              a.tokens(),
              a.positions(),
              a.sequences(),
              a.outputs(),
              a.pageTable(),
              limits.sequences(),
              limits.pagesPerSequence());
      if (tape == 0) {
        throw new BackendException("cpu: " + NativeLibrary.lastError());
      }
      CpuBackend.check(TokamakNative.tk_cpu_watch(tape, stop.address()), "watch");
      cache(program.cache(), limits.pages());
      for (Operation operation : program.operations()) {
        CpuBackend.check(append(operation), operation.label());
      }
      logits = view(at(program.logits()), bytes(program.logits(), limits));
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  private static long bytes(Value value, Limits limits) {
    long rows = value.rows() == Value.Rows.STEP ? limits.rows() : limits.outputs();
    return rows * value.width() * Float.BYTES;
  }

  @SuppressWarnings("restricted") // Our own memory, with the size that it was allocated with.
  private static MemorySegment view(long address, long bytes) {
    return MemorySegment.ofAddress(address).reinterpret(bytes);
  }

  private void cache(CacheShape shape, int pages) {
    int type = shape.type().ggufId();
    long bytes =
        TokamakNative.tk_cpu_cache_bytes(
            type, shape.layers(), shape.kvHeads(), shape.headDim(), pages);
    long address = memory.allocate(bytes, "the KV cache (lower --ctx)");
    CpuBackend.check(
        TokamakNative.tk_cpu_cache(
            tape, type, shape.layers(), shape.kvHeads(), shape.headDim(), pages, address),
        "cache");
  }

  private int append(Operation operation) {
    return switch (operation) {
      case Operation.Embed op -> embed(op.table(), at(op.out()));
      case Operation.Norm op ->
          TokamakNative.tk_cpu_norm(
              tape,
              Abi.rows(op.x()),
              at(op.x()),
              op.x().width(),
              op.weight().data().address(),
              op.weight().cols(),
              op.epsilon(),
              at(op.out()));
      case Operation.MatMul op ->
          TokamakNative.tk_cpu_matmul(
              tape,
              Abi.rows(op.x()),
              at(op.x()),
              op.weight().cols(),
              op.weight().type().ggufId(),
              weights.address(op.weight()),
              op.weight().rows(),
              op.bias().map(bias -> bias.data().address()).orElse(0L),
              at(op.out()));
      case Operation.Rope op ->
          TokamakNative.tk_cpu_rope(
              tape,
              at(op.x()),
              op.x().width() / op.headDim(),
              op.headDim(),
              op.table().cols(),
              Abi.pairing(op.pairing()),
              op.table().data().address(),
              op.table().rows());
      case Operation.Store op ->
          TokamakNative.tk_cpu_store(tape, op.layer(), at(op.k()), at(op.v()));
      case Operation.Attention op ->
          TokamakNative.tk_cpu_attention(
              tape,
              op.layer(),
              at(op.q()),
              op.q().width() / program.cache().headDim(),
              op.scale(),
              at(op.out()));
      case Operation.Gate op ->
          TokamakNative.tk_cpu_gate(
              tape,
              Abi.rows(op.gate()),
              at(op.gate()),
              at(op.up()),
              op.gate().width(),
              at(op.out()));
      case Operation.Add op ->
          TokamakNative.tk_cpu_add(tape, Abi.rows(op.x()), at(op.x()), at(op.y()), op.x().width());
      case Operation.Select op ->
          TokamakNative.tk_cpu_select(tape, at(op.x()), op.x().width(), at(op.out()));
    };
  }

  /** A table that is a matmul's weight too is read in its packed form. */
  private int embed(Tensor table, long out) {
    int type = table.type().ggufId();
    return weights.holds(table)
        ? TokamakNative.tk_cpu_embed_packed(
            tape, type, table.rows(), table.cols(), weights.address(table), out)
        : TokamakNative.tk_cpu_embed(
            tape, type, table.rows(), table.cols(), table.data().address(), out);
  }

  private long at(Value value) {
    return values[value.id()];
  }

  @Override
  public Batch batch() {
    return batch;
  }

  @Override
  public void step() {
    if (Thread.currentThread().isVirtual()) {
      stepThread.run(this::run, () -> false, () -> {});
    } else {
      run();
    }
  }

  /** A step of few rows that a platform thread asks for is not worth the way to another thread. */
  @Override
  public boolean step(BooleanSupplier unwanted) {
    if (batch.rows() <= FEW_ROWS && !Thread.currentThread().isVirtual()) {
      return run();
    }
    try {
      return stepThread.run(this::run, unwanted, () -> WORD.setVolatile(stop, 0L, 1));
    } finally {
      WORD.setVolatile(stop, 0L, 0);
    }
  }

  /** Returns whether it came to the end. */
  private boolean run() {
    int status = TokamakNative.tk_cpu_step(tape, batch.rows(), batch.outputs());
    if (status == TokamakNative.TK_NOT_FINITE) {
      int failed = TokamakNative.tk_cpu_tape_failed(tape);
      throw new NotFiniteException(program.operations().get(failed));
    }
    if (status == TokamakNative.TK_STOPPED) {
      return false;
    }
    CpuBackend.check(status, "step");
    return true;
  }

  @Override
  public MemorySegment logits() {
    return logits;
  }

  @Override
  public long bytes() {
    return memory.bytes();
  }

  @Override
  public void close() {
    if (tape != 0) {
      TokamakNative.tk_cpu_tape_free(tape);
      tape = 0;
    }
    memory.close();
    arena.close();
  }
}
