// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import java.util.Locale;

/** Why a generation ended. */
public enum FinishReason {
  /** A stop string was written. */
  STOP,
  /** As many tokens as wanted, or as fit into the context. */
  LENGTH,
  /** The model ended its text: a token that ends a generation. */
  EOS,
  /** The caller cancelled it, or interrupted the thread. */
  CANCELLED;

  /** {@code stop}, {@code length}, {@code eos}, {@code cancelled}. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }
}
