// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import java.nio.file.Path;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.function.Consumer;

/** What happens in a training, told to its listener: a progress bar, a file of metrics, a page. */
public sealed interface TrainEvent {
  /**
   * The first step is about to run.
   *
   * @param stage pretrain, sft, dpo or grpo
   * @param backend its name and why it was chosen
   * @param parameters values in the model
   * @param trainable of them that are trained
   * @param flopsPerToken multiplications and additions of a token's forward and backward pass in
   *     products with weights, each counted as one operation
   * @param bytes of weights, gradients, moments and activations
   * @param resumedAt steps done before, from a checkpoint; what was reported of later ones is void
   * @param steps in all
   */
  record Started(
      String stage,
      String backend,
      long parameters,
      long trainable,
      double flopsPerToken,
      long bytes,
      long resumedAt,
      long steps)
      implements TrainEvent {}

  /**
   * A step is done.
   *
   * @param step from 1
   * @param loss before the step, over all of its examples
   * @param gradientNorm before clipping
   * @param tokens rows of this step
   * @param seconds that it took, without evaluations and checkpoints
   * @param measures of the stage, in order: accuracy and margin of preferences, reward of answers
   */
  record Step(
      long step,
      double loss,
      double learningRate,
      double gradientNorm,
      long tokens,
      double seconds,
      Map<String, Double> measures)
      implements TrainEvent {
    public double tokensPerSecond() {
      return tokens / seconds;
    }
  }

  /**
   * Held-out data was looked at.
   *
   * @param step done so far
   * @param loss mean over targets, in nats; of dpo, over pairs; of grpo, the share of wrong answers
   * @param bitsPerByte of the text that the targets spell, where the loss is a cross-entropy
   */
  record Validated(long step, double loss, OptionalDouble bitsPerByte, Map<String, Double> measures)
      implements TrainEvent {}

  /** The model was asked to write something; the same prompt each time. */
  record Sampled(long step, String prompt, String text) implements TrainEvent {}

  /** A checkpoint is on the disk. */
  record Saved(long step, Path checkpoint) implements TrainEvent {}

  /** Something that the user should know, in one line; the training goes on. */
  record Warned(String message) implements TrainEvent {}

  /** Takes lines that a listener hears as {@link Warned}. */
  static Consumer<String> warnings(TrainListener listener) {
    return line -> listener.accept(new Warned(line));
  }

  /** The model is written. */
  record Finished(long steps, Path output, double seconds) implements TrainEvent {}
}
