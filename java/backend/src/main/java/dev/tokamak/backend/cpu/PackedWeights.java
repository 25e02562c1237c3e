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

  PackedWeights(long team, List<Tensor> matrices, Backend.Progress progress) {
    try {
      long total = matrices.stream().mapToLong(m -> m.data().byteSize()).sum();
      long done = 0;
      for (Tensor matrix : matrices) {
        addresses.put(matrix.name(), pack(team, matrix, done, total, progress));
        done += matrix.data().byteSize();
      }
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** Packs slice by slice, so that a large matrix is never in memory twice. */
  private long pack(long team, Tensor matrix, long done, long total, Backend.Progress progress) {
    int type = matrix.type().ggufId();
    long address = memory.allocate(packedBytes(matrix, matrix.rows()), matrix.toString());
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
    return address;
  }

  private static long packedBytes(Tensor matrix, long rows) {
    long bytes =
        TokamakNative.tk_cpu_packed_bytes(matrix.type().ggufId(), rows, matrix.cols());
    if (bytes < 0) {
      throw new BackendException("cpu: " + matrix + ": " + NativeLibrary.lastError());
    }
    return bytes;
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
