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
import dev.tokamak.backend.nativelib.CudaLibrary;
import dev.tokamak.backend.nativelib.CudaNative;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The device memory of one prepared program, in one piece: activations, rotary tables, cache,
 * scratch, and the exchange, which has a twin in pinned memory. The exchange is first what goes to
 * the device before each step, the batch and the failure flag, then what comes back, the flag and
 * the logits: one copy each way.
 */
final class StepMemory implements AutoCloseable {
  private final CudaDriver driver;
  private final Program program;
  private final Limits limits;
  private final MemoryPlan plan = new MemoryPlan();
  private final long[] values;
  private final Map<Long, Long> tables = new HashMap<>();
  private final long cacheOffset;
  private final long scratchOffset;
  private final long exchangeOffset;
  private final long flagOffset;
  private final long exchangeBytes;
  private long device;
  private long pinned;
  private MemorySegment view;

  /**
   * Plans, then takes the memory and fills the rotary tables.
   *
   * @throws BackendException if the plan does not fit, with its numbers
   */
  @SuppressWarnings("restricted") // Our own memory, with the size that it was allocated with.
  StepMemory(CudaDriver driver, Program program, Limits limits) {
    this.driver = driver;
    this.program = program;
    this.limits = limits;
    values = new long[program.values().size()];
    for (Value value : program.values()) {
      if (value != program.logits()) {
        values[value.id()] = plan.add("activations", bytes(value));
      }
    }
    Map<Long, Tensor> rotary = rotaryTables();
    rotary.forEach(
        (key, table) -> tables.put(key, plan.add("rotary table", table.data().byteSize())));
    cacheOffset = plan.add("cache", cacheBytes());
    scratchOffset = plan.add("attention scratch", scratchBytes());
    flagOffset = Batch.bytes(limits);
    exchangeBytes = flagOffset + CudaKernels.ALIGNMENT + bytes(program.logits());
    exchangeOffset = plan.add("batch and logits", exchangeBytes);
    values[program.logits().id()] = exchangeOffset + flagOffset + CudaKernels.ALIGNMENT;
    plan.require(
        driver.memory(), "a smaller --ctx, --chunk or --kv-type, or fewer --parallel, needs less");
    try {
      device = driver.allocate(plan.total());
      pinned = driver.allocatePinned(exchangeBytes);
      view = MemorySegment.ofAddress(pinned).reinterpret(exchangeBytes);
      upload(rotary);
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  private long bytes(Value value) {
    long rows = value.rows() == Value.Rows.STEP ? limits.rows() : limits.outputs();
    return rows * value.width() * Float.BYTES;
  }

  private Map<Long, Tensor> rotaryTables() {
    Map<Long, Tensor> found = new LinkedHashMap<>();
    for (Operation operation : program.operations()) {
      if (operation instanceof Operation.Rope rope) {
        found.put(rope.table().data().address(), rope.table());
      }
    }
    return found;
  }

  private void upload(Map<Long, Tensor> rotary) {
    long largest = rotary.values().stream().mapToLong(t -> t.data().byteSize()).max().orElse(0);
    if (largest > 0) {
      try (Staging staging = new Staging(driver, Math.min(largest, Staging.LANE_BYTES), false)) {
        rotary.forEach((key, table) -> staging.upload(table.data(), device + tables.get(key)));
        staging.finish();
      }
    }
  }

  private long cacheBytes() {
    CacheShape shape = program.cache();
    long bytes =
        CudaNative.tk_cuda_cache_bytes(
            shape.type().ggufId(),
            shape.layers(),
            shape.kvHeads(),
            shape.headDim(),
            limits.pages());
    if (bytes < 0) {
      throw new BackendException("cuda: " + shape + ": " + CudaLibrary.lastError());
    }
    return bytes;
  }

  /** What the attention of any step needs: few rows may need more than many. */
  private long scratchBytes() {
    long positions = (long) limits.pagesPerSequence() * CacheShape.PAGE_TOKENS;
    int headDim = program.cache().headDim();
    long most = 0;
    for (Operation operation : program.operations()) {
      if (operation instanceof Operation.Attention attention) {
        for (int bucket = 0; bucket < Buckets.count(limits.rows()); bucket++) {
          most =
              Math.max(
                  most,
                  CudaNative.tk_cuda_attention_bytes(
                      Buckets.size(bucket, limits.rows()),
                      attention.q().width() / headDim,
                      headDim,
                      positions));
        }
      }
    }
    return most;
  }

  /** An empty batch in the exchange's pinned memory. */
  Batch batch() {
    return new Batch(limits, view.asSlice(0, Batch.bytes(limits)));
  }

  /** Where the device has the batch. */
  Batch.Addresses deviceBatch() {
    return Batch.addresses(limits, device + exchangeOffset);
  }

  /** Logits [outputs, vocab] in pinned memory. */
  MemorySegment logits() {
    return view.asSlice(flagOffset + CudaKernels.ALIGNMENT, bytes(program.logits()));
  }

  /** Device address of the flag that names the first operation whose output is not finite. */
  long deviceFlag() {
    return device + exchangeOffset + flagOffset;
  }

  /** The flag in pinned memory. */
  MemorySegment flag() {
    return view.asSlice(flagOffset, Integer.BYTES);
  }

  /** Queues the way to the device: batch and flag. */
  void uploadBatch(CudaDriver.Stream stream) {
    stream.upload(device + exchangeOffset, pinned, flagOffset + CudaKernels.ALIGNMENT);
  }

  /** Queues the way back: the flag, and the logits of so many outputs. */
  void downloadLogits(CudaDriver.Stream stream, int outputs) {
    long logits = (long) outputs * program.logits().width() * Float.BYTES;
    stream.download(pinned + flagOffset, deviceFlag(), CudaKernels.ALIGNMENT + logits);
  }

  long value(Value value) {
    return device + values[value.id()];
  }

  long table(Tensor rotary) {
    return device + tables.get(rotary.data().address());
  }

  long cache() {
    return device + cacheOffset;
  }

  long scratch() {
    return device + scratchOffset;
  }

  /** Bytes on the device. */
  long bytes() {
    return plan.total();
  }

  @Override
  public void close() {
    if (device != 0) {
      driver.free(device);
      device = 0;
    }
    if (pinned != 0) {
      driver.freePinned(pinned);
      pinned = 0;
    }
  }
}
