// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

/**
 * A token that could come next.
 *
 * @param id of the token
 * @param logProbability natural logarithm of its probability in the model's full distribution: the
 *     softmax of all logits, before any step of a sampler
 */
public record Choice(int id, double logProbability) {
  public double probability() {
    return Math.exp(logProbability);
  }
}
