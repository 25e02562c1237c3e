// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

import dev.tokamak.backend.train.TrainingOperation;

/** A step produced NaN or infinity; the message names the operation and the tensor. */
public final class NotFiniteException extends BackendException {
  private static final long serialVersionUID = 1L;

  public NotFiniteException(Operation operation) {
    super(
        "not finite: the output of operation " + operation.label()
            + " has NaN or infinity; the weights may be damaged (inspect --check scans them)");
  }

  /** In training, where the learning rate is the first suspect. */
  public NotFiniteException(TrainingOperation operation) {
    super(
        "not finite: the output of operation " + label(operation)
            + " has NaN or infinity; the learning rate may be too high, or the weights damaged");
  }

  private static String label(TrainingOperation operation) {
    return operation instanceof TrainingOperation.Forward forward
        ? forward.label()
        : operation.name()
            + operation.writes().stream()
                .findFirst()
                .map(value -> " (" + value.name() + ")")
                .orElse("");
  }
}
