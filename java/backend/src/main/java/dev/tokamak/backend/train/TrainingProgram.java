// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Program;
import dev.tokamak.backend.Value;
import dev.tokamak.backend.train.TrainingOperation.Forward;
import dev.tokamak.backend.train.TrainingOperation.LogProbability;
import dev.tokamak.backend.train.TrainingOperation.Rope;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A training step, recorded once: the forward pass of an inference {@link Program} in single
 * assignment, its attention among the step's own rows, with the log probability of the targets at
 * its end; and the backward pass that follows from it.
 *
 * @param parameters that it reads and gives gradients of
 * @param values all values, by id; each is written by one operation, but for gradients that several
 *     products add to
 * @param forward in the order of execution; the last is {@link LogProbability}
 * @param backward in the order of execution, after forward; some operations of the forward pass
 *     among them, into values of their own, where activations are made again
 */
public record TrainingProgram(
    Parameters parameters,
    List<Value> values,
    List<Forward> forward,
    List<TrainingOperation> backward) {

  public TrainingProgram {
    values = List.copyOf(values);
    forward = List.copyOf(forward);
    backward = List.copyOf(backward);
  }

  /**
   * Derives the training step of a model.
   *
   * @param program the model's forward pass; its tensors only stand for parameters of their names
   * @param parameters one for each tensor, but for rotary tables, and those of the adapters
   * @param adapters by the name of the product's weight that they belong to
   * @param recompute whether values within the blocks of the program are dropped in the forward
   *     pass and made again when the backward pass comes to their block (Chen et al. 2016): the
   *     same bits, with less memory, for about a third more work
   * @throws BackendException if a parameter is missing or does not fit
   */
  public static TrainingProgram of(
      Program program,
      Parameters parameters,
      Map<String, Adapter> adapters,
      boolean recompute) {
    Translation translation = new Translation(program, parameters, adapters);
    List<Value> values = new ArrayList<>(translation.values());
    List<TrainingOperation> backward =
        Backward.of(
            translation.forward(), values, recompute ? translation.blocks() : List.of());
    return new TrainingProgram(parameters, values, translation.forward(), backward);
  }

  /** Tokens that its logits tell apart. */
  public int vocabulary() {
    return ((LogProbability) forward.getLast()).logits().width();
  }

  /** Rows of its rotary tables: a sequence may have as many tokens. */
  public int positions() {
    return forward.stream()
        .mapToInt(f -> f instanceof Rope r ? Math.toIntExact(r.table().rows()) : Integer.MAX_VALUE)
        .min()
        .orElse(Integer.MAX_VALUE);
  }
}
