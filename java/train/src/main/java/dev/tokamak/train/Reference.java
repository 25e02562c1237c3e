// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.tokamak.backend.train.Parameters;
import dev.tokamak.backend.train.TrainingBatch;
import dev.tokamak.backend.train.TrainingReplay;
import dev.tokamak.backend.train.TrainingReplay.State;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** What the model said before it was trained: the measure of how far it has gone. */
final class Reference {
  private final TrainingReplay replay;
  private final MemorySegment initial;
  private final MemorySegment current;

  /** Keeps the weights that are to be trained as they are now, in the arena of its owner. */
  Reference(Parameters parameters, TrainingReplay replay, Arena arena) {
    this.replay = replay;
    initial = arena.allocate(JAVA_FLOAT, parameters.trainableSize());
    current = arena.allocate(JAVA_FLOAT, parameters.trainableSize());
    replay.read(State.WEIGHTS, 0, initial);
  }

  /** Log probabilities of the targets of every example that is in no earlier part, by id. */
  Map<Long, float[]> logProbabilities(Stream<List<Example>> parts) {
    Map<Long, float[]> all = new HashMap<>();
    replay.read(State.WEIGHTS, 0, current);
    replay.write(State.WEIGHTS, 0, initial);
    parts
        .filter(part -> !part.stream().allMatch(example -> all.containsKey(example.id())))
        .forEachOrdered(part -> add(part, all));
    replay.write(State.WEIGHTS, 0, current);
    return all;
  }

  private void add(List<Example> part, Map<Long, float[]> all) {
    TrainingBatch batch = Trainer.forward(replay, part);
    int output = 0;
    for (Example example : part) {
      int outputs = example.outputs();
      all.putIfAbsent(example.id(), PolicyGradient.logProbabilities(batch, output, outputs));
      output += outputs;
    }
  }
}
