// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

/**
 * A named array of activations that operations read and write: float32, row-major.
 *
 * @param id its number in the program, from 0
 * @param name for messages, such as {@code hidden}
 * @param rows which rows it has
 * @param width values in a row
 */
public record Value(int id, String name, Rows rows, int width) {
  /** Which rows of a step a value has. */
  public enum Rows {
    /** One for each token of the step: n. */
    STEP,
    /** One for each token whose logits are wanted: m. */
    OUTPUTS
  }

  public Value {
    if (width <= 0) {
      throw new BackendException("value " + name + ": width=" + width + " must be positive");
    }
  }

  @Override
  public String toString() {
    return name + " [" + (rows == Rows.STEP ? "n" : "m") + ", " + width + "]";
  }
}
