// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.nativelib.CudaLibrary;
import dev.tokamak.backend.nativelib.CudaNative;
import dev.tokamak.backend.nativelib.TokamakNative;
import java.util.OptionalLong;

/** What calls of the kernels' library have in common. */
final class CudaKernels {
  static final int OK = TokamakNative.TK_OK;

  /** Every address that kernels take is a multiple of this, or of a row after it. */
  static final int ALIGNMENT = 256;

  private CudaKernels() {}

  /** Throws what the library said, if a call failed. */
  static void check(int status, String what) {
    switch (status) {
      case TokamakNative.TK_OK -> {}
      case TokamakNative.TK_DEVICE ->
          throw new CudaException(what, CudaNative.tk_cuda_error_code(), CudaLibrary.lastError());
      case TokamakNative.TK_OUT_OF_MEMORY ->
          throw new CudaException(what, CudaException.OUT_OF_MEMORY, CudaLibrary.lastError());
      default -> throw new BackendException("cuda: " + what + ": " + CudaLibrary.lastError());
    }
  }

  /** The next multiple of {@link #ALIGNMENT}. */
  static long aligned(long bytes) {
    return Math.addExact(bytes, ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }

  /** Bytes of the first rows of a matrix in packed form; empty: no kernel takes it. */
  static OptionalLong packedBytes(Tensor matrix, long rows) {
    long bytes =
        CudaNative.tk_cuda_packed_bytes(matrix.type().ggufId(), rows, matrix.cols());
    return bytes < 0 ? OptionalLong.empty() : OptionalLong.of(bytes);
  }
}
