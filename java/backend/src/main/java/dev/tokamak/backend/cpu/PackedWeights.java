// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cpu;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.machine.Libc;
import dev.tokamak.backend.nativelib.NativeLibrary;
import dev.tokamak.backend.nativelib.TokamakNative;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Matrices in the layout of the native matmul, by the name of their tensor. */
final class PackedWeights implements Backend.Weights {
  private final NativeMemory memory = new NativeMemory();
  private final Map<String, Long> addresses = new HashMap<>();

  PackedWeights(long team, List<Tensor> matrices, Backend.Progress progress) {
    try {
      long total = matrices.stream().mapToLong(m -> m.data().byteSize()).sum();
      long done = 0;
      for (Tensor matrix : matrices) {
        addresses.put(matrix.name(), pack(team, matrix));
        // The packed copy serves from here on: the file's pages need not stay in memory.
        Libc.release(matrix.data());
        done += matrix.data().byteSize();
        progress.at(done, total);
      }
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  private long pack(long team, Tensor matrix) {
    int type = matrix.type().ggufId();
    long bytes = TokamakNative.tk_cpu_packed_bytes(type, matrix.rows(), matrix.cols());
    if (bytes < 0) {
      throw new BackendException("cpu: " + matrix + ": " + NativeLibrary.lastError());
    }
    long address = memory.allocate(bytes, matrix.toString());
    CpuBackend.check(
        TokamakNative.tk_cpu_pack(
            team, type, matrix.rows(), matrix.cols(), matrix.data().address(), address),
        matrix.toString());
    return address;
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
