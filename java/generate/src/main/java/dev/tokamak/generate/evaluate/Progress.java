// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate.evaluate;

/** Hears how many of the cases of an evaluation are done. */
@FunctionalInterface
public interface Progress {
  void at(int done, int cases);

  /** Nobody listens. */
  static Progress none() {
    return (done, cases) -> {};
  }
}
