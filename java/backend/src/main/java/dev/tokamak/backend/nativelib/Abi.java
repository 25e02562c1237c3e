// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.nativelib;

import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.backend.Value;

/** The numbers by which {@code tokamak.h} and {@code tokamak_cuda.h} know what programs name. */
public final class Abi {
  private Abi() {}

  /** The {@code tk_rows} of a value. */
  public static int rows(Value value) {
    return switch (value.rows()) {
      case STEP -> TokamakNative.TK_ROWS_STEP;
      case OUTPUTS -> TokamakNative.TK_ROWS_OUTPUTS;
    };
  }

  /** The {@code tk_pairing} of a rotary embedding. */
  public static int pairing(Pairing pairing) {
    return switch (pairing) {
      case INTERLEAVED -> TokamakNative.TK_PAIRING_INTERLEAVED;
      case HALF_SPLIT -> TokamakNative.TK_PAIRING_HALF_SPLIT;
    };
  }
}
