// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate.evaluate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.generate.Batcher;
import dev.tokamak.generate.Capacity;
import dev.tokamak.generate.PromptException;
import dev.tokamak.generate.evaluate.FewShot.Accuracy;
import dev.tokamak.generate.evaluate.FewShot.Example;
import dev.tokamak.generate.evaluate.FewShot.Task;
import dev.tokamak.model.Model;
import dev.tokamak.testing.TinyModel;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FewShotTest {
  @TempDir private Path folder;

  private static Task numbers(int count) {
    return new Task(
        "numbers",
        IntStream.range(0, count).mapToObj(i -> new Example("n" + i, "m" + i)).toList());
  }

  @Test
  void everyTaskIsAskedWithEachNumberThatItHasExamplesFor() throws Exception {
    try (Model model = Model.open(TinyModel.write(folder.resolve("tiny.gguf"), 1));
        Batcher batcher = new Batcher(model, Capacity.of(model).withSequences(3))) {
      List<Accuracy> results =
          FewShot.measure(
              batcher, List.of(numbers(4), numbers(3)), List.of(0, 2, 3), 2, 7, Progress.none());
      assertThat(results).extracting(Accuracy::examples).containsExactly(0, 2, 3, 0, 2);
      assertThat(results).allMatch(result -> result.n() == 2);
      assertThat(
              FewShot.measure(
                  batcher, List.of(numbers(4)), List.of(0, 2, 3), 2, 7, Progress.none()))
          .isEqualTo(results.subList(0, 3));
    }
  }

  @Test
  void aPromptLongerThanTheContextIsRefusedByName() throws Exception {
    try (Model model = Model.open(TinyModel.write(folder.resolve("tiny.gguf"), 1));
        Batcher batcher = new Batcher(model, Capacity.of(model).withContext(8))) {
      assertThatThrownBy(
              () ->
                  FewShot.measure(
                      batcher, List.of(numbers(9)), List.of(8), 1, 7, Progress.none()))
          .isInstanceOf(PromptException.class)
          .hasMessageContaining("numbers with 8 examples");
    }
  }

  @Test
  void theTasksOfItsOwnAreUsable() {
    List<Task> tasks = SyntheticTasks.all();
    assertThat(tasks).extracting(Task::name).doesNotHaveDuplicates().hasSize(9);
    for (Task task : tasks) {
      assertThat(task.examples()).as(task.name()).hasSizeGreaterThan(16).doesNotHaveDuplicates();
      assertThat(task.examples())
          .allMatch(example -> example.output().equals(example.output().strip()));
    }
  }
}
