// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

/**
 * One step of an optimiser. AdamW: Loshchilov and Hutter 2019. Muon: Jordan et al. 2024, for
 * parameters in the role of matrices, the others by AdamW.
 *
 * @param optimizer that makes it
 * @param step from 1, for the correction of the moments' bias
 * @param learningRate of this step
 * @param weightDecay decoupled: weights shrink by learningRate · weightDecay; vectors do not
 * @param clip largest norm of all gradients together; larger ones are scaled down to it; 0: none
 * @param beta1 decay of the first moment, and Muon's momentum's where {@link #MUON_MOMENTUM} says
 * @param beta2 decay of the second moment
 * @param epsilon added to the root of the second moment
 */
public record Update(
    Optimizer optimizer,
    long step,
    double learningRate,
    double weightDecay,
    double clip,
    double beta1,
    double beta2,
    double epsilon) {
  /** Decay of Muon's momentum (Nesterov), in place of beta1 for matrices. */
  public static final double MUON_MOMENTUM = 0.95;

  /** Which rule is used. */
  public enum Optimizer {
    ADAMW,
    MUON
  }
}
