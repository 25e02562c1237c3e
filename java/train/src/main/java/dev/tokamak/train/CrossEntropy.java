// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import dev.tokamak.backend.train.TrainingBatch;
import java.util.List;

/**
 * The negative log probability of the targets, each as heavy as its example, averaged over all
 * targets of a step: loss = −Σ weight · log p / Σ weight.
 */
public final class CrossEntropy implements Objective {
  /** It has no state. */
  public CrossEntropy() {}

  @Override
  public double size(List<Example> part) {
    return part.stream().mapToDouble(example -> example.outputs() * example.weight()).sum();
  }

  @Override
  public double loss(List<Example> part, TrainingBatch batch, double total) {
    double sum = 0;
    int output = 0;
    for (Example example : part) {
      for (int i = example.outputs(); i > 0; i--, output++) {
        sum -= example.weight() * batch.logProbability(output);
        batch.coefficient(output, -example.weight() / total);
      }
    }
    return sum / total;
  }
}
