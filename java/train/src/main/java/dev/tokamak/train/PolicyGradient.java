// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import dev.tokamak.backend.train.TrainingBatch;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The loss of group relative policy optimisation (Shao et al. 2024, equation 3), averaged over all
 * tokens of a step's answers alike (Yu et al. 2025): an example's weight is its advantage A; with
 * r = p / p_old and d = log p_reference − log p of a token, its share is −min(r A, clip(r, 1 − ε, 1
 * + ε) A) + κ (exp d − d − 1). p_old is what the model said when it first saw the answers; where
 * each answer is learnt from once, r is 1.
 */
public final class PolicyGradient implements Objective {
  private final double clip;
  private final double divergence;
  private final int passes;
  private final Map<Long, float[]> old = new HashMap<>();
  private Map<Long, float[]> reference = Map.of();
  private Map<String, Double> measures = Map.of();

  /**
   * @param clip ε
   * @param divergence κ; 0: no reference is wanted
   * @param passes updates from one set of answers
   */
  public PolicyGradient(double clip, double divergence, int passes) {
    this.passes = passes;
    this.clip = clip;
    this.divergence = divergence;
  }

  /**
   * New answers are to be learnt from.
   *
   * @param byReference log probabilities of their targets, by id; none where κ is 0
   * @param ofAnswers what is worth knowing of them
   */
  void begin(Map<Long, float[]> byReference, Map<String, Double> ofAnswers) {
    old.clear();
    reference = byReference;
    measures = ofAnswers;
  }

  @Override
  public int passes() {
    return passes;
  }

  @Override
  public Map<String, Double> takeMeasures() {
    return measures;
  }

  @Override
  public double size(List<Example> part) {
    return part.stream().mapToDouble(Example::outputs).sum();
  }

  @Override
  public double loss(List<Example> part, TrainingBatch batch, double total) {
    double loss = 0;
    int output = 0;
    for (Example answer : part) {
      int from = output;
      float[] before =
          old.computeIfAbsent(answer.id(), _ -> logProbabilities(batch, from, answer.outputs()));
      for (int i = 0; i < before.length; i++, output++) {
        double now = batch.logProbability(output);
        double ratio = StrictMath.exp(now - before[i]);
        double free = ratio * answer.weight();
        double held = Math.clamp(ratio, 1 - clip, 1 + clip) * answer.weight();
        loss -= Math.min(free, held);
        double slope = free <= held ? -free : 0;
        if (divergence > 0) {
          double d = reference.get(answer.id())[i] - now;
          loss += divergence * (StrictMath.exp(d) - d - 1);
          slope += divergence * (1 - StrictMath.exp(d));
        }
        batch.coefficient(output, slope / total);
      }
    }
    return loss / total;
  }

  /** Of some outputs in a row. */
  static float[] logProbabilities(TrainingBatch batch, int from, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = batch.logProbability(from + i);
    }
    return values;
  }
}
