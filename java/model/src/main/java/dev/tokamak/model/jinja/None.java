// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

/** Python's {@code None}, JSON's null. */
public enum None {
  NONE;

  @Override
  public String toString() {
    return "None";
  }
}
