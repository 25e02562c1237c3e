// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import dev.tokamak.backend.train.TrainingReplay.State;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A training of {@link Toy}, also as a program of its own, to be killed: the folder, the steps, the
 * steps between checkpoints, and a file for the final weights are its arguments.
 */
final class ToyTraining {
  private ToyTraining() {}

  /** Trains, or goes on, and gives the weights at the end. */
  static float[] run(Path folder, long steps, long every, List<TrainEvent> events) {
    return run(folder, steps, every, Map.of("seed", "1"), events);
  }

  static float[] run(
      Path folder, long steps, long every, Map<String, String> settings, List<TrainEvent> events) {
    try (Toy toy = new Toy(32);
        var checkpoints = new Checkpoints(folder, 2)) {
      checkpoints.require(settings);
      Optional<Long> done =
          checkpoints.resume(
              toy.parameters, toy.replay, line -> events.add(new TrainEvent.Warned(line)));
      new Trainer(
              toy.parameters,
              toy.replay,
              Toy::examples,
              new CrossEntropy(),
              Toy.optimization(),
              steps,
              List.of(),
              checkpoints,
              every,
              events::add)
          .run(done.orElse(0L));
      return toy.state(State.WEIGHTS);
    }
  }

  public static void main(String[] args) throws IOException {
    try {
      float[] weights =
          run(
              Path.of(args[0]), Long.parseLong(args[1]), Long.parseLong(args[2]),
              new ArrayList<>());
      Files.write(Path.of(args[3]), bytes(weights));
    } catch (TrainException e) {
      System.out.println(e.getMessage());
      System.exit(1);
    }
  }

  static byte[] bytes(float[] values) {
    return MemorySegment.ofArray(values).toArray(java.lang.foreign.ValueLayout.JAVA_BYTE);
  }
}
