// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cpu;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.machine.Libc;
import dev.tokamak.backend.nativelib.NativeLibrary;
import dev.tokamak.backend.nativelib.TokamakNative;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Matrices in the layout of the native matmul, by the name of their tensor. */
final class PackedWeights implements Backend.Weights {
  /** Rows that are packed together; a matrix is its groups in order, so it packs in pieces. */
  private static final int GROUP_ROWS = 16;

  private static final long SLICE_BYTES = 16 << 20;

  private final NativeMemory memory = new NativeMemory();
  private final Map<String, Long> addresses = new HashMap<>();

  PackedWeights(
      long team, List<Tensor> matrices, boolean lockMemory, Backend.Progress progress) {
    try {
      long total = matrices.stream().mapToLong(m -> m.data().byteSize()).sum();
      // One piece of memory for all: each piece is rounded up to whole huge pages.
      long start =
          memory.allocate(matrices.stream().mapToLong(PackedWeights::room).sum(), "the weights");
      long address = start;
      long done = 0;
      for (Tensor matrix : matrices) {
        pack(team, matrix, address, done, total, progress);
        addresses.put(matrix.name(), address);
        address += room(matrix);
        done += matrix.data().byteSize();
      }
      if (lockMemory) {
        Libc.lock(start, memory.bytes());
      }
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** Packs slice by slice, so that a large matrix is never in memory twice. */
  private static void pack(
      long team, Tensor matrix, long address, long done, long total, Backend.Progress progress) {
    int type = matrix.type().ggufId();
    Libc.willNeed(matrix.data());
    long step = Math.max(1, SLICE_BYTES / matrix.rowBytes() / GROUP_ROWS) * GROUP_ROWS;
    for (long row = 0; row < matrix.rows(); row += step) {
      long rows = Math.min(step, matrix.rows() - row);
      MemorySegment slice =
          matrix.data().asSlice(row * matrix.rowBytes(), rows * matrix.rowBytes());
      long to = address + (row == 0 ? 0 : packedBytes(matrix, row));
      CpuBackend.check(
          TokamakNative.tk_cpu_pack(team, type, rows, matrix.cols(), slice.address(), to),
          matrix.toString());
      // The packed copy serves from here on: the file's pages need not stay in memory.
      Libc.release(slice);
      progress.at(done + (row + rows) * matrix.rowBytes(), total);
    }
  }

  /** Bytes that a packed matrix takes, the next one's alignment to a cache line included. */
  private static long room(Tensor matrix) {
    return (packedBytes(matrix, matrix.rows()) + 63) / 64 * 64;
  }

  private static long packedBytes(Tensor matrix, long rows) {
    long bytes =
        TokamakNative.tk_cpu_packed_bytes(matrix.type().ggufId(), rows, matrix.cols());
    if (bytes < 0) {
      throw new BackendException("cpu: " + matrix + ": " + NativeLibrary.lastError());
    }
    return bytes;
  }

  /** Whether this very tensor was packed. */
  boolean holds(Tensor matrix) {
    return addresses.containsKey(matrix.name());
  }

  /** Address of a matrix in packed form. */
  long address(Tensor matrix) {
    Long address = addresses.get(matrix.name());
    if (address == null) {
      throw new BackendException("cpu: " + matrix + " was not loaded");
    }
    return address;
  }

  @Override
  public void close() {
    memory.close();
  }
}
