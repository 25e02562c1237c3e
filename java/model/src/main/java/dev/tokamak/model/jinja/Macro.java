// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.util.List;

/**
 * A macro, or the block of a {@code call}.
 *
 * @param around where it was defined: it sees those variables
 */
record Macro(String name, Node.Signature signature, List<Node.Statement> body, Scope around) {
  @Override
  public boolean equals(Object other) {
    return this == other;
  }

  @Override
  public int hashCode() {
    return System.identityHashCode(this);
  }
}
