// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.machine.Libc;
import dev.tokamak.backend.nativelib.CudaLibrary;
import dev.tokamak.backend.nativelib.CudaNative;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Constant tensors on the device: matrices in the layout of the matmul kernels, packed there from
 * the file's bytes; and what programs read as it is in the file, norms, biases and embedding
 * tables, which come when the first program needs them.
 */
final class CudaWeights implements Backend.Weights {
  /** A tensor's identity: programs of one model name the same tensors. */
  private record Key(String name, long address) {
    Key(Tensor tensor) {
      this(tensor.name(), tensor.data().address());
    }
  }

  private final CudaDevice device;
  private final List<Long> allocations = new ArrayList<>();
  private final Map<String, Long> packed = new HashMap<>();
  private final Map<Key, Long> plain = new HashMap<>();
  private long bytes;

  CudaWeights(CudaDevice device, List<Tensor> matrices, Backend.Progress progress) {
    this.device = device;
    device.requireAlive();
    long total = matrices.stream().mapToLong(m -> m.data().byteSize()).sum();
    try (Staging staging = staging(matrices)) {
      long address = allocate(planOf(matrices));
      long done = 0;
      for (Tensor matrix : matrices) {
        pack(staging, matrix, address, done, total, progress);
        packed.put(matrix.name(), address);
        address += CudaKernels.aligned(packedBytes(matrix, matrix.rows()));
        done += matrix.data().byteSize();
      }
      staging.finish();
    } catch (RuntimeException | Error e) {
      close();
      if (e instanceof CudaException failure) {
        device.failed(failure);
      }
      throw e;
    }
  }

  /** Where matrices would lie. */
  private static MemoryPlan planOf(List<Tensor> matrices) {
    MemoryPlan plan = new MemoryPlan();
    matrices.forEach(matrix -> plan.add("weights", packedBytes(matrix, matrix.rows())));
    return plan;
  }

  private static long packedBytes(Tensor matrix, long rows) {
    return rows == 0
        ? 0
        : CudaKernels.packedBytes(matrix, rows)
            .orElseThrow(
                () -> new BackendException("cuda: " + matrix + ": " + CudaLibrary.lastError()));
  }

  /** Lanes that take slices of matrices, or the largest matrix if that is smaller. */
  private Staging staging(List<Tensor> matrices) {
    long lane = 1;
    for (Tensor matrix : matrices) {
      lane = Math.max(lane, Math.min(sliceRows(matrix), matrix.rows()) * matrix.rowBytes());
    }
    return new Staging(device.driver(), lane, true);
  }

  /** Rows that travel together: whole groups, so that they can be packed on their own. */
  private static long sliceRows(Tensor matrix) {
    int group = CudaNative.TK_CUDA_GROUP_ROWS;
    return Math.max(1, Staging.LANE_BYTES / matrix.rowBytes() / group) * group;
  }

  private static void pack(
      Staging staging, Tensor matrix, long address, long done, long total,
      Backend.Progress progress) {
    Libc.willNeed(matrix.data());
    long step = sliceRows(matrix);
    for (long row = 0; row < matrix.rows(); row += step) {
      long rows = Math.min(step, matrix.rows() - row);
      MemorySegment slice =
          matrix.data().asSlice(row * matrix.rowBytes(), rows * matrix.rowBytes());
      Staging.Lane lane = staging.lane();
      long unpacked = lane.uploadUnpacked(slice);
      CudaKernels.check(
          CudaNative.tk_cuda_pack(
              lane.stream().handle(),
              matrix.type().ggufId(),
              rows,
              matrix.cols(),
              unpacked,
              address + packedBytes(matrix, row)),
          "packing " + matrix);
      // The device's copy serves from here on: the file's pages need not stay in memory.
      Libc.release(slice);
      progress.at(done + (row + rows) * matrix.rowBytes(), total);
    }
  }

  private long allocate(MemoryPlan plan) {
    if (plan.total() == 0) {
      return 0;
    }
    plan.require(device.driver().memory(), "use --backend cpu, or a smaller model");
    long address = device.driver().allocate(plan.total());
    allocations.add(address);
    bytes += plan.total();
    return address;
  }

  /**
   * Brings tensors to the device as they are, those that are there left out. Their memory must hold
   * the same values for as long as these weights are open.
   */
  synchronized void upload(List<Tensor> tensors) {
    Map<Key, Tensor> missing = new LinkedHashMap<>();
    for (Tensor tensor : tensors) {
      if (!plain.containsKey(new Key(tensor))) {
        missing.put(new Key(tensor), tensor);
      }
    }
    if (missing.isEmpty()) {
      return;
    }
    MemoryPlan plan = new MemoryPlan();
    Map<Key, Long> offsets = new HashMap<>();
    long largest = 1;
    for (var entry : missing.entrySet()) {
      long size = entry.getValue().data().byteSize();
      largest = Math.max(largest, size);
      offsets.put(entry.getKey(), plan.add("norms, biases and embeddings", size));
    }
    long address = allocate(plan);
    try (Staging staging =
        new Staging(device.driver(), Math.min(largest, Staging.LANE_BYTES), false)) {
      missing.forEach((key, tensor) -> staging.upload(tensor.data(), address + offsets.get(key)));
      staging.finish();
    } catch (RuntimeException | Error e) {
      // A later attempt takes its own: nothing knows of this one.
      device.driver().free(address);
      allocations.remove(address);
      bytes -= plan.total();
      throw e;
    }
    offsets.forEach((key, offset) -> plain.put(key, address + offset));
  }

  /** Whether this tensor is there in packed form. */
  boolean holds(Tensor matrix) {
    return packed.containsKey(matrix.name());
  }

  /** Address of a matrix in packed form. */
  long packed(Tensor matrix) {
    Long address = packed.get(matrix.name());
    if (address == null) {
      throw new BackendException("cuda: " + matrix + " was not loaded");
    }
    return address;
  }

  /** Address of a tensor that {@link #upload} brought. */
  synchronized long plain(Tensor tensor) {
    return plain.get(new Key(tensor));
  }

  /** Bytes on the device. */
  synchronized long bytes() {
    return bytes;
  }

  @Override
  public synchronized void close() {
    allocations.forEach(device.driver()::free);
    allocations.clear();
  }
}
