// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

/** A training cannot begin or go on. The message is one line: what, where, and what would help. */
public final class TrainException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public TrainException(String message) {
    super(message);
  }

  public TrainException(String message, Throwable cause) {
    super(message, cause);
  }
}
