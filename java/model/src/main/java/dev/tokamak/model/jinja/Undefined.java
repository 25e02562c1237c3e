// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

/**
 * What is not there. It prints as nothing, is false and empty; any other use of it is an error.
 *
 * @param problem for that error
 */
record Undefined(String problem) {
  static Undefined variable(String name) {
    return new Undefined("'" + name + "' is undefined");
  }

  Failed failure() {
    return Failed.because(problem);
  }
}
