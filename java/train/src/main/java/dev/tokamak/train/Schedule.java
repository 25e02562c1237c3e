// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

/**
 * The learning rate of each step: it rises from zero in a straight line over the warm-up, and then
 * goes as the kind says.
 */
sealed interface Schedule {
  /**
   * The rate of a step.
   *
   * @param step from 0
   */
  double rate(long step);

  /** As a configuration says. */
  static Schedule of(TrainConfig.Optimization o, long steps) {
    return switch (o.schedule()) {
      case COSINE -> new Cosine(o.lr(), o.end(), o.warmup(), steps);
      case WSD -> new Wsd(o.lr(), o.end(), o.warmup(), Math.round(o.decay() * steps), steps);
    };
  }

  /**
   * Half a wave down (Loshchilov and Hutter 2017).
   *
   * @param highest rate, at the end of the warm-up
   * @param end rate of the last step, as a part of the highest
   * @param warmup steps
   * @param steps in all
   */
  record Cosine(double highest, double end, long warmup, long steps) implements Schedule {
    @Override
    public double rate(long step) {
      if (step < warmup) {
        return warm(highest, step, warmup);
      }
      double done = (double) (step - warmup) / Math.max(1, steps - 1 - warmup);
      double wave = (1 + StrictMath.cos(Math.PI * Math.min(1, done))) / 2;
      return highest * (end + (1 - end) * wave);
    }
  }

  /**
   * Warm-up, stable, decay (Hu et al. 2024): constant, then down in a straight line.
   *
   * @param highest rate, from the end of the warm-up to the decay
   * @param end rate of the last step, as a part of the highest
   * @param warmup steps
   * @param decay steps, the last ones
   * @param steps in all
   */
  record Wsd(double highest, double end, long warmup, long decay, long steps) implements Schedule {
    @Override
    public double rate(long step) {
      if (step < warmup) {
        return warm(highest, step, warmup);
      }
      double fallen = Math.max(0, (double) (step + 1 - (steps - decay)) / Math.max(1, decay));
      return highest * (1 - (1 - end) * fallen);
    }
  }

  private static double warm(double highest, long step, long warmup) {
    return highest * (step + 1) / warmup;
  }
}
