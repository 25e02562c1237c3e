// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import dev.tokamak.backend.train.TrainingBatch;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Direct preference optimisation (Rafailov et al. 2023, equation 7). A part holds pairs, chosen and
 * then rejected; with s(y) = log p(y) − log p_reference(y), summed over the targets of y, a pair's
 * loss is −log σ(β (s(chosen) − s(rejected))), and to it may be added, times a weight, the mean
 * −log p of the chosen answer's targets, which keeps it likely (Pang et al. 2024). The loss of a
 * step is the mean over its pairs.
 */
public final class DirectPreference implements Objective {
  private final double beta;
  private final double likelihood;
  private final Map<Long, float[]> reference;
  private double accuracy;
  private double margin;

  /**
   * @param beta how far the model is held to the reference; above 0
   * @param likelihood weight of the chosen answer's −log p
   * @param reference log probabilities of every example's targets by the initial weights, by id
   */
  public DirectPreference(double beta, double likelihood, Map<Long, float[]> reference) {
    this.beta = beta;
    this.likelihood = likelihood;
    this.reference = reference;
  }

  @Override
  public double size(List<Example> part) {
    return part.size() / 2.0;
  }

  @Override
  public double loss(List<Example> part, TrainingBatch batch, double total) {
    double loss = 0;
    int output = 0;
    for (int i = 0; i < part.size(); i += 2) {
      int chosen = part.get(i).outputs();
      int rejected = part.get(i + 1).outputs();
      double difference =
          gain(part.get(i), batch, output) - gain(part.get(i + 1), batch, output + chosen);
      double logit = beta * difference;
      // log(1 + exp(−logit)), without overflow
      loss += Math.max(0, -logit) + StrictMath.log1p(StrictMath.exp(-Math.abs(logit)));
      double slope = beta / (1 + StrictMath.exp(logit)) / total;
      double each = likelihood / chosen;
      for (int j = 0; j < chosen; j++) {
        loss -= each * batch.logProbability(output);
        batch.coefficient(output++, -slope - each / total);
      }
      for (int j = 0; j < rejected; j++) {
        batch.coefficient(output++, slope);
      }
      accuracy += (difference > 0 ? 1 : 0) / total;
      margin += logit / total;
    }
    return loss / total;
  }

  /** log p − log p_reference of an answer whose targets begin at an output. */
  private double gain(Example answer, TrainingBatch batch, int output) {
    float[] before = reference.get(answer.id());
    double gain = 0;
    for (int i = 0; i < before.length; i++) {
      gain += (double) batch.logProbability(output + i) - before[i];
    }
    return gain;
  }

  @Override
  public Map<String, Double> takeMeasures() {
    Map<String, Double> measures = new LinkedHashMap<>();
    measures.put("accuracy", accuracy);
    measures.put("margin", margin);
    accuracy = 0;
    margin = 0;
    return measures;
  }
}
