// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import java.util.function.Consumer;

/** Hears what happens in a training, in the thread that trains, and may end it early. */
@FunctionalInterface
public interface TrainListener extends Consumer<TrainEvent> {
  /**
   * Whether the training shall end: asked behind each step. It then writes a checkpoint, from which
   * it can be resumed, and throws a {@link TrainException} that says so. It is asked while data is
   * made ready, too, and then nothing is kept.
   */
  default boolean stops() {
    return false;
  }

  /**
   * Goes on with what comes before the first step.
   *
   * @throws TrainException if the training shall end
   */
  default void goOn() {
    if (stops()) {
      throw new TrainException("stopped before the first step; nothing was trained");
    }
  }
}
