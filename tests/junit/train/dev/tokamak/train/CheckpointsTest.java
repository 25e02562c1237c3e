// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.testing.Seeds;
import java.io.IOException;
import java.net.URI;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CheckpointsTest {
  @TempDir Path folder;

  @Test
  void resumedTrainingEndsWithTheSameBits() {
    float[] unbroken = ToyTraining.run(folder.resolve("a"), 12, 5, new ArrayList<>());
    List<TrainEvent> events = new ArrayList<>();
    ToyTraining.run(folder.resolve("b"), 12, 5, events);
    deleteStep("b", 12);
    events.clear();
    assertThat(ToyTraining.run(folder.resolve("b"), 12, 5, events)).isEqualTo(unbroken);
    assertThat(events).hasSize(3); // steps 11 and 12, and a checkpoint
  }

  @Test
  void newestAreKept() throws IOException {
    ToyTraining.run(folder, 12, 3, new ArrayList<>());
    try (Stream<Path> names = Files.list(folder)) {
      assertThat(names.map(p -> p.getFileName().toString()))
          .containsExactlyInAnyOrder("step-000009", "step-000012", "lock");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"weights.safetensors", "optimizer.safetensors", "checksums"})
  void damagedOneIsPassedOver(String file) throws IOException {
    float[] unbroken = ToyTraining.run(folder, 12, 5, new ArrayList<>());
    Path damaged = folder.resolve("step-000012").resolve(file);
    byte[] bytes = Files.readAllBytes(damaged);
    bytes[bytes.length / 2] ^= 4;
    Files.write(damaged, bytes);
    assertPassedOver(unbroken, file);
  }

  @ParameterizedTest
  @ValueSource(strings = {"weights.safetensors", "optimizer.safetensors", "checksums"})
  void missingFileIsPassedOver(String file) throws IOException {
    float[] unbroken = ToyTraining.run(folder, 12, 5, new ArrayList<>());
    Files.delete(folder.resolve("step-000012").resolve(file));
    assertPassedOver(unbroken, file);
  }

  private void assertPassedOver(float[] unbroken, String file) {
    List<TrainEvent> events = new ArrayList<>();
    assertThat(ToyTraining.run(folder, 12, 5, events)).isEqualTo(unbroken);
    assertThat(((TrainEvent.Warned) events.getFirst()).message())
        .startsWith(
            folder.resolve("step-000012") + " is damaged, so step-000010 is used; it is"
                + " step-000012.damaged now: ")
        .contains(file)
        .doesNotContain("\n");
    assertThat(events).hasSize(4); // the warning, steps 11 and 12, and a checkpoint
    assertThat(folder.resolve("step-000012.damaged")).exists();
    List<TrainEvent> again = new ArrayList<>();
    ToyTraining.run(folder, 12, 5, again);
    assertThat(again).isEmpty(); // the damaged one was replaced
  }

  @Test
  void noWholeOneIsAnError() throws IOException {
    ToyTraining.run(folder, 3, 3, new ArrayList<>());
    Files.write(folder.resolve("step-000003/checksums"), new byte[0]);
    assertThatThrownBy(() -> ToyTraining.run(folder, 3, 3, new ArrayList<>()))
        .isInstanceOf(TrainException.class)
        .hasMessageContaining(
            "no checkpoint in it is whole; without --resume the training starts anew: weights");
    assertThat(folder.resolve("step-000003")).exists();
  }

  /** Of 4 and a damaged 8, 4 is gone on from: what is written then is newer than what is kept. */
  @Test
  void damagedOneDoesNotDisplaceWholeOnes() throws IOException {
    ToyTraining.run(folder, 8, 4, new ArrayList<>());
    Files.write(folder.resolve("step-000008/weights.safetensors"), new byte[9]);
    try (Toy toy = new Toy(32);
        var checkpoints = new Checkpoints(folder, 1)) {
      checkpoints.require(Map.of("seed", "1"));
      assertThat(checkpoints.resume(toy.parameters, toy.replay, _ -> {})).contains(4L);
      checkpoints.save(5, toy.parameters, toy.replay);
      assertThat(checkpoints.steps()).containsExactly(5L);
    }
  }

  @Test
  void otherSettingsAreNamed() {
    ToyTraining.run(folder, 3, 3, Map.of("seed", "1", "model.dim", "64"), new ArrayList<>());
    assertThatThrownBy(
            () ->
                ToyTraining.run(
                    folder, 6, 3, Map.of("seed", "1", "model.dim", "32"), new ArrayList<>()))
        .isInstanceOf(TrainException.class)
        .hasMessageStartingWith("model.dim: ")
        .hasMessageContaining("was made with 64, now it is 32");
    assertThatThrownBy(
            () -> ToyTraining.run(folder, 6, 3, Map.of("seed", "1"), new ArrayList<>()))
        .hasMessageContaining("was made with 64, now it is none");
  }

  @Test
  void oneTrainingAtATime() {
    try (var held = new Checkpoints(folder, 1)) {
      assertThat(held.steps()).isEmpty();
      assertThatThrownBy(() -> new Checkpoints(folder, 1))
          .hasMessageContaining("another training uses it");
    }
    new Checkpoints(folder, 1).close();
  }

  @Test
  void leftoversAreRemoved() throws IOException {
    Path part = Files.createDirectories(folder.resolve("step-000007.part"));
    Files.write(part.resolve("weights.safetensors"), new byte[10]);
    try (var checkpoints = new Checkpoints(folder, 1)) {
      assertThat(part).doesNotExist();
      assertThat(checkpoints.steps()).isEmpty();
    }
  }

  @Test
  void aFolderInWhichNothingCameToBeIsRemoved() throws IOException {
    Path made = folder.resolve("made");
    new Checkpoints(made, 1).close();
    assertThat(made).doesNotExist();
    try (var _ = new Checkpoints(made, 1)) {
      Files.createDirectory(made.resolve("data"));
    }
    assertThat(made).doesNotExist();
    Path shard = made.resolve("data/a.shard");
    try (var _ = new Checkpoints(made, 1)) {
      Files.createDirectory(made.resolve("data"));
      Files.createFile(shard);
    }
    assertThat(shard).exists();
    new Checkpoints(folder, 1).close();
    assertThat(folder).exists(); // it was there before
  }

  @Test
  void aFileIsNoFolder() throws IOException {
    Path file = Files.createFile(folder.resolve("file"));
    assertThatThrownBy(() -> new Checkpoints(file, 1))
        .isInstanceOf(TrainException.class)
        .hasMessage("checkpoint.dir: " + file + ": " + file + " is no folder");
  }

  /** A limit of the size of files stands in for a full disk. */
  @Test
  void fullDiskLeavesThePreviousOne() throws Exception {
    ToyTraining.run(folder, 3, 3, new ArrayList<>());
    Process child = child("ulimit -f 1; exec", 6, folder.resolve("out"));
    String output = output(child);
    assertThat(child.exitValue()).isEqualTo(1);
    assertThat(output.strip())
        .contains("step-000006: cannot be written: ")
        .endsWith("step-000003 stands")
        .doesNotContain("\n");
    assertThat(folder.resolve("step-000003")).exists();
    assertThat(folder.resolve("step-000006.part")).doesNotExist();
    assertThat(folder.resolve("step-000006")).doesNotExist();
    float[] unbroken = ToyTraining.run(folder.resolve("other"), 6, 3, new ArrayList<>());
    assertThat(ToyTraining.run(folder, 6, 3, new ArrayList<>())).isEqualTo(unbroken);
  }

  /** SIGKILL at random moments; {@code -Dtokamak.kills=20} for more of them. */
  @Test
  void killedTrainingEndsWithTheSameBits() {
    int kills = Integer.getInteger("tokamak.kills", 3);
    long steps = 1000L * kills;
    float[] unbroken = ToyTraining.run(folder.resolve("unbroken"), steps, steps, new ArrayList<>());
    Seeds.check(
        random -> {
          Path broken = folder.resolve("broken");
          Path out = folder.resolve("out");
          int killed = 0;
          for (int i = 0; i < kills; i++) {
            long before = newest(broken);
            Process child = child("exec", steps, out, broken);
            // Killed from then on that it has got further: while it trains, or writes.
            while (child.isAlive() && newest(broken) <= before) {
              Thread.sleep(1);
            }
            if (!child.waitFor(random.nextInt(250), TimeUnit.MILLISECONDS)) {
              child.destroyForcibly().waitFor();
              killed++;
            }
          }
          assertThat(killed).as("children killed of " + kills).isGreaterThan(kills / 2);
          Process last = child("exec", steps, out, broken);
          assertThat(output(last)).isEmpty();
          assertThat(Files.readAllBytes(out)).isEqualTo(ToyTraining.bytes(unbroken));
        });
  }

  /** The step of the newest checkpoint; 0: there is none. */
  private static long newest(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return 0;
    }
    try (Stream<Path> names = Files.list(folder)) {
      return names
          .map(path -> path.getFileName().toString())
          .filter(name -> name.matches("step-\\d+"))
          .mapToLong(name -> Long.parseLong(name.substring("step-".length())))
          .max()
          .orElse(0);
    }
  }

  private Process child(String before, long steps, Path out) throws IOException {
    return child(before, steps, out, folder);
  }

  private static Process child(String before, long steps, Path out, Path folder)
      throws IOException {
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    String classes =
        String.join(
            ":",
            testClasses().toString(),
            System.getProperty("jdk.module.path", ""),
            System.getProperty("java.class.path"));
    return new ProcessBuilder(
            "bash",
            "-c",
            before + " \"$@\"",
            "child",
            java,
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            classes,
            ToyTraining.class.getName(),
            folder.toString(),
            Long.toString(steps),
            Long.toString(Math.min(50, steps / 2)),
            out.toString())
        .redirectErrorStream(true)
        .start();
  }

  /** Maven patches the module with them: no path has them. */
  private static Path testClasses() {
    String name = ToyTraining.class.getName().replace('.', '/') + ".class";
    URL url = ToyTraining.class.getResource("/" + name);
    Path file = Path.of(URI.create(url.toString()));
    return Path.of(file.toString().substring(0, file.toString().length() - name.length()));
  }

  private static String output(Process child) throws Exception {
    String text = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    child.waitFor();
    return text;
  }

  private void deleteStep(String name, long step) {
    try (var checkpoints = new Checkpoints(folder.resolve(name), 2)) {
      Path path = checkpoints.path(step);
      for (String file : List.of("weights.safetensors", "optimizer.safetensors", "checksums")) {
        Files.delete(path.resolve(file));
      }
      Files.delete(path);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }
}
