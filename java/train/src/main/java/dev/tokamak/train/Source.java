// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import java.util.List;

/**
 * Where the examples of a training come from. A step's depend on the configuration, its seed and
 * the step's number only (and on the weights, where the model makes its own examples): that is what
 * makes a resumed training go on where it was.
 */
@FunctionalInterface
public interface Source {
  /**
   * The examples of a step, in as many parts as gradients are accumulated over; each part is one
   * batch. A pair of a preference, chosen and then rejected, lies within one part.
   *
   * @param step from 0
   */
  List<List<Example>> step(long step);
}
