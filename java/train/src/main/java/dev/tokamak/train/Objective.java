// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import dev.tokamak.backend.train.TrainingBatch;
import java.util.List;
import java.util.Map;

/**
 * What a training makes small: a loss as a function of the log probabilities of a step's targets.
 * The loss of a step is the sum of its parts' shares, so that a step in parts is the same as one
 * large batch.
 */
public interface Objective {
  /**
   * What a part counts for: tokens, or pairs. The sum over the step's parts is what its loss is
   * divided by.
   */
  double size(List<Example> part);

  /**
   * Sets the coefficient of every output of a batch: the derivative of the loss by its log
   * probability.
   *
   * @param part what was added to the batch, example by example, their targets in order
   * @param batch with log probabilities
   * @param total sum of {@link #size} over all parts of the step
   * @return the part's share of the loss
   */
  double loss(List<Example> part, TrainingBatch batch, double total);

  /** Updates that a step makes, each from all of its examples. */
  default int passes() {
    return 1;
  }

  /**
   * What else is worth knowing of the losses since the last call, in the order to be shown, such as
   * the share of pairs whose chosen answer gained more.
   */
  default Map<String, Double> takeMeasures() {
    return Map.of();
  }
}
