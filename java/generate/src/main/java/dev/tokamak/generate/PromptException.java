// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

/** A prompt that cannot be run: empty, too long, or with tokens that the model does not have. */
public final class PromptException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public PromptException(String message) {
    super(message);
  }
}
