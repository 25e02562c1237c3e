// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

/**
 * One step of an optimiser, after g, all gradients together, was clipped.
 *
 * <p>AdamW (Loshchilov and Hutter 2019): w -= lr·decay·w; m = β1·m + (1−β1)·g; v = β2·v +
 * (1−β2)·g²; w -= lr/(1−β1^step) · m / (sqrt(v/(1−β2^step)) + ε).
 *
 * <p>Muon (Jordan et al. 2024), for parameters in the role of matrices, the others by AdamW: w -=
 * lr·decay·w; m = μ·m + (1−μ)·g; u = μ·m + (1−μ)·g (Nesterov); u turned to its nearest orthogonal
 * matrix by {@value #MUON_STEPS} steps of Newton and Schulz, X = a·X + (b·A + c·A²)·X with A = X·Xᵀ,
 * from X = u/(‖u‖ + 1e-7), transposed if it has more rows than columns; w -= lr · {@value
 * #MUON_SCALE}·sqrt(max(rows, cols)) · X. That scale (Liu et al. 2025, "match_rms_adamw" in PyTorch) makes
 * the changes as large as AdamW's, so that one learning rate does for all parameters.
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

  /** About the root mean square of what AdamW takes off a weight, per learning rate. */
  public static final double MUON_SCALE = 0.2;

  /** Iterations of Newton and Schulz. */
  public static final int MUON_STEPS = 5;

  /** Their coefficients a, b and c: the largest slope at zero. */
  public static final double MUON_A = 3.4445;

  public static final double MUON_B = -4.7750;
  public static final double MUON_C = 2.0315;

  /** Which rule is used. */
  public enum Optimizer {
    ADAMW,
    MUON
  }
}
