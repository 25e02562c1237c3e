// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import dev.tokamak.backend.train.TrainingReplay;
import java.util.List;
import java.util.OptionalDouble;

/** Examples that are never learnt from, to be looked at. */
final class Validation {
  private static final double LN_2 = StrictMath.log(2);

  private Validation() {}

  /**
   * The loss over them.
   *
   * @param parts as of a step, each with a target or more
   * @param bytes that all targets spell; 0 where the loss is no cross-entropy
   */
  static TrainEvent.Validated look(
      long step,
      TrainingReplay replay,
      Objective objective,
      List<List<Example>> parts,
      long bytes) {
    double total = parts.stream().mapToDouble(objective::size).sum();
    double loss = 0;
    for (List<Example> part : parts) {
      loss += objective.loss(part, Trainer.forward(replay, part), total);
    }
    OptionalDouble bitsPerByte =
        bytes == 0 ? OptionalDouble.empty() : OptionalDouble.of(loss * total / LN_2 / bytes);
    return new TrainEvent.Validated(step, loss, bitsPerByte, objective.takeMeasures());
  }
}
