// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.tokamak.backend.train.TrainingReplay.State;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainerTest {
  @TempDir Path folder;

  @Test
  void lossFallsAndEventsComeInOrder() {
    List<TrainEvent> events = new ArrayList<>();
    try (Toy toy = new Toy(32);
        var checkpoints = new Checkpoints(folder, 2)) {
      List<List<Example>> examples = Toy.examples(0);
      var objective = new CrossEntropy();
      var watch =
          new Watch(
              10,
              step -> List.of(Validation.look(step, toy.replay, objective, examples, 24)));
      new Trainer(
              toy.parameters, toy.replay, step -> examples, objective, Toy.optimization(), 25,
              List.of(watch), checkpoints, 20, events::add)
          .run(0);
    }
    List<TrainEvent.Validated> looks = all(events, TrainEvent.Validated.class);
    assertThat(looks).extracting(TrainEvent.Validated::step).containsExactly(0L, 10L, 20L, 25L);
    assertThat(looks.getLast().loss()).isLessThan(0.8 * looks.getFirst().loss());
    assertThat(looks.getFirst().bitsPerByte().orElseThrow())
        .isEqualTo(looks.getFirst().loss() / Math.log(2), within(1e-12));
    assertThat(all(events, TrainEvent.Step.class))
        .extracting(TrainEvent.Step::step)
        .containsExactlyElementsOf(LongStream.rangeClosed(1, 25).boxed().toList());
    // What is looked at before the first step is what the first step sees.
    assertThat(all(events, TrainEvent.Step.class).getFirst().loss())
        .isEqualTo(looks.getFirst().loss());
    assertThat(all(events, TrainEvent.Saved.class))
        .extracting(TrainEvent.Saved::step)
        .containsExactly(20L, 25L);
  }

  @Test
  void partsAreOneLargeBatch() {
    float[][] weights = new float[2][];
    for (int whole = 0; whole < 2; whole++) {
      try (Toy toy = new Toy(32);
          var checkpoints = new Checkpoints(folder.resolve("" + whole), 2)) {
        boolean together = whole == 1;
        Source source =
            step -> {
              List<List<Example>> parts = Toy.examples(step);
              return together ? List.of(parts.stream().flatMap(List::stream).toList()) : parts;
            };
        new Trainer(
                toy.parameters, toy.replay, source, new CrossEntropy(), Toy.optimization(), 10,
                List.of(), checkpoints, 20, _ -> {})
            .run(0);
        weights[whole] = toy.state(State.WEIGHTS);
      }
    }
    for (int i = 0; i < weights[0].length; i++) {
      assertThat(weights[0][i]).isEqualTo(weights[1][i], within(1e-4f));
    }
  }

  @Test
  void whatIsNotFiniteStopsAndTheCheckpointStands() {
    try (Toy toy = new Toy(32);
        var checkpoints = new Checkpoints(folder, 2)) {
      Source source =
          step -> {
            if (step == 4) {
              float[] broken = {Float.NaN};
              toy.replay.write(
                  State.WEIGHTS,
                  toy.parameters.get("head").offset(),
                  MemorySegment.ofArray(broken));
            }
            return Toy.examples(step);
          };
      var trainer =
          new Trainer(
              toy.parameters, toy.replay, source, new CrossEntropy(), Toy.optimization(), 10,
              List.of(), checkpoints, 3, _ -> {});
      assertThatThrownBy(() -> trainer.run(0))
          .isInstanceOf(TrainException.class)
          .hasMessageStartingWith("step 5: not finite: ")
          .hasMessageEndingWith("step-000003 stands")
          .message()
          .doesNotContain("\n");
      assertThat(checkpoints.steps()).containsExactly(3L);
    }
  }

  @Test
  void aListenerMayStopItWhereItCanGoOn() {
    try (Toy toy = new Toy(32);
        var checkpoints = new Checkpoints(folder, 2)) {
      TrainListener listener =
          new TrainListener() {
            private long steps;

            @Override
            public void accept(TrainEvent event) {
              steps += event instanceof TrainEvent.Step ? 1 : 0;
            }

            @Override
            public boolean stops() {
              return steps == 4;
            }
          };
      var trainer =
          new Trainer(
              toy.parameters, toy.replay, Toy::examples, new CrossEntropy(), Toy.optimization(),
              10, List.of(), checkpoints, 9, listener);
      assertThatThrownBy(() -> trainer.run(0))
          .isInstanceOf(TrainException.class)
          .hasMessage("stopped behind step 4 of 10; --resume goes on from there");
      assertThat(checkpoints.steps()).containsExactly(4L);
    }
  }

  @Test
  void aStepWithoutTargetsIsRefused() {
    try (Toy toy = new Toy(32);
        var checkpoints = new Checkpoints(folder, 2)) {
      Example silent = new Example(0, new int[] {1, 2}, new java.util.BitSet(), 1);
      var trainer =
          new Trainer(
              toy.parameters, toy.replay, step -> List.of(List.of(silent)), new CrossEntropy(),
              Toy.optimization(), 10, List.of(), checkpoints, 3, _ -> {});
      assertThatThrownBy(() -> trainer.run(0))
          .hasMessage("step 1: no example has a token to learn");
    }
  }

  @Test
  void referenceIsTheModelOfBefore() {
    try (Toy toy = new Toy(32);
        java.lang.foreign.Arena arena = java.lang.foreign.Arena.ofConfined();
        var checkpoints = new Checkpoints(folder, 2)) {
      Reference reference = new Reference(toy.parameters, toy.replay, arena);
      List<List<Example>> parts = Toy.examples(7);
      Map<Long, float[]> before = reference.logProbabilities(parts.stream());
      new Trainer(
              toy.parameters, toy.replay, Toy::examples, new CrossEntropy(), Toy.optimization(),
              5, List.of(), checkpoints, 9, _ -> {})
          .run(0);
      float[] trained = toy.state(State.WEIGHTS);
      assertThat(reference.logProbabilities(parts.stream()))
          .usingRecursiveComparison()
          .isEqualTo(before);
      assertThat(toy.state(State.WEIGHTS)).isEqualTo(trained);
      float first = Trainer.forward(toy.replay, parts.getFirst()).logProbability(0);
      assertThat(first).isNotEqualTo(before.get(parts.getFirst().getFirst().id())[0]);
    }
  }

  private static <T extends TrainEvent> List<T> all(List<TrainEvent> events, Class<T> type) {
    return events.stream().filter(type::isInstance).map(type::cast).toList();
  }
}
