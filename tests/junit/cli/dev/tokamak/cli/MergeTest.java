// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.backend.train.Parameter;
import dev.tokamak.model.Lora;
import dev.tokamak.model.ModelFile;
import dev.tokamak.model.TrainingModel;
import dev.tokamak.model.WeightArray;
import dev.tokamak.testing.Golden;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** The commands that write model files. */
class MergeTest {
  private static final String BASE = Golden.path("llama-f32.gguf").toString();

  @TempDir private Path folder;

  private String adapters() throws IOException {
    try (ModelFile file = ModelFile.open(Path.of(BASE));
        Arena arena = Arena.ofConfined()) {
      TrainingModel model = TrainingModel.of(file, Optional.of(Lora.of(3, 6)));
      MemorySegment weights = arena.allocate(JAVA_FLOAT, model.parameters().size());
      Random random = new Random(4);
      for (Parameter p : model.parameters().trainable()) {
        for (long i = p.offset(); i < p.offset() + p.size(); i++) {
          weights.setAtIndex(JAVA_FLOAT, i, (float) (random.nextGaussian() / 4));
        }
      }
      Path path = folder.resolve("lora.gguf");
      model.writeAdapters(path, WeightArray.of(weights));
      return path.toString();
    }
  }

  private static JsonNode run(String model, String... more) {
    String[] arguments = {
      "run", "-m", model, "-p", "how much flour", "--temp", "0", "-n", "12", "--backend",
      "reference", "--receipt", "--json"
    };
    String[] all = new String[arguments.length + more.length];
    System.arraycopy(arguments, 0, all, 0, arguments.length);
    System.arraycopy(more, 0, all, arguments.length, more.length);
    return Cli.run(all).json();
  }

  @Test
  void adaptersThatRunSayWhatTheMergedModelSays() throws IOException {
    String lora = adapters();
    String merged = folder.resolve("merged.gguf").toString();
    JsonNode result = Cli.run("merge", BASE, lora, merged, "--json").json();
    assertThat(result.propertyNames()).containsExactly("tensors", "merged", "bytes");
    assertThat(result.get("merged").asInt()).isEqualTo(14);
    assertThat(result.get("bytes").asLong()).isLessThan(Files.size(Path.of(merged)));
    JsonNode added = run(BASE, "--lora", lora);
    assertThat(added.get("text")).isEqualTo(run(merged).get("text"));
    JsonNode plain = run(BASE);
    assertThat(added.get("text")).isNotEqualTo(plain.get("text"));
    assertThat(added.get("receipt").get("settings").asString()).contains(" lora=");
    assertThat(plain.get("receipt").get("settings").asString()).doesNotContain("lora=");
  }

  @Test
  void quantizeWritesWhatInspectReads() {
    String out = folder.resolve("small.gguf").toString();
    Cli.Result done =
        Cli.run("quantize", Golden.path("llama-q4_0.gguf").toString(), out, "q8_0");
    assertThat(done.done().err()).contains("small.gguf: ").doesNotContain("warning");
    JsonNode json = Cli.run("inspect", out, "--json").json();
    assertThat(json.get("runs").asBoolean()).isTrue();
    assertThat(json.get("tensors").get(0).get("type").asString()).isEqualTo("Q8_0");
    assertThat(json.get("metadata").get("general.file_type").asInt()).isEqualTo(7);
    JsonNode again = Cli.run("quantize", BASE, out, "q4_0", "--json").json();
    assertThat(again.propertyNames()).containsExactly("tensors", "bytes");
    assertThat(Cli.run("quantize", BASE, out, "q4_0").done().err())
        .startsWith("warning: rows are not whole blocks of 32, so these are F16: ");
  }

  @Test
  void anOutputThatCannotBeIsRefused() throws IOException {
    Path base = Files.copy(Path.of(BASE), folder.resolve("base.gguf"));
    String lora = adapters();
    String again = folder.resolve("../" + folder.getFileName() + "/base.gguf").toString();
    refused(again + ": is read as well, expected another file", "quantize", base, again, "q8_0");
    refused(base + ": is read as well, expected another file", "merge", base, lora, base);
    refused(lora + ": is read as well, expected another file", "merge", base, lora, lora);
    refused(folder + ": a folder, expected the name of a file", "quantize", base, folder, "f16");
    refused("/proc/a.gguf: no file can be made in /proc", "quantize", base, "/proc/a.gguf", "f16");
    assertThat(base).hasSameBinaryContentAs(Path.of(BASE));
  }

  private static void refused(String message, Object... arguments) {
    Cli.Result result =
        Cli.run(Stream.of(arguments).map(Object::toString).toArray(String[]::new));
    assertThat(result.lastError()).isEqualTo("tokamak: " + message);
    assertThat(result.status()).isEqualTo(Main.FAILED);
  }

  @Test
  void quantizeWritesTheMetadataThatIsGiven() {
    String out = folder.resolve("named.gguf").toString();
    String[] set = {"--set", "general.name=Lily = 3", "--set", "general.sampling.temp=0.5"};
    Cli.run("quantize", BASE, out, "f32", set[0], set[1], set[2], set[3], "--set",
            "general.sampling.top_k=7")
        .done();
    JsonNode metadata = Cli.run("inspect", out, "--json").json().get("metadata");
    assertThat(metadata.get("general.name").asString()).isEqualTo("Lily = 3");
    assertThat(metadata.get("general.sampling.temp").asDouble()).isEqualTo(0.5);
    assertThat(metadata.get("general.sampling.top_k").asInt()).isEqualTo(7);
    assertThat(run(out).get("text")).isEqualTo(run(BASE).get("text"));
  }
}
