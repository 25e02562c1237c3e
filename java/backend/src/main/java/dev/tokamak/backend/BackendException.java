// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

/** A program, tensor or batch that a backend cannot take; the message names it in one line. */
public class BackendException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public BackendException(String message) {
    super(message);
  }

  public BackendException(String message, Throwable cause) {
    super(message, cause);
  }
}
