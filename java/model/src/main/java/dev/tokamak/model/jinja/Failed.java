// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

/** An error in a template, on its way to where the line is known. Carries no stack trace. */
final class Failed extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final boolean raised;

  private Failed(String message, boolean raised) {
    super(message, null, false, false);
    this.raised = raised;
  }

  /** What Python, or Jinja, would say. */
  static Failed because(String message) {
    return new Failed(message, false);
  }

  /** By {@code raise_exception}. */
  static Failed byTemplate(String message) {
    return new Failed(message, true);
  }

  boolean raised() {
    return raised;
  }
}
