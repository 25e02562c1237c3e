// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

/** A step produced NaN or infinity; the message names the operation and the tensor. */
public final class NotFiniteException extends BackendException {
  private static final long serialVersionUID = 1L;

  public NotFiniteException(Operation operation) {
    super(
        "not finite: the output of operation " + operation.label()
            + " has NaN or infinity; the weights may be damaged (inspect --check scans them)");
  }
}
