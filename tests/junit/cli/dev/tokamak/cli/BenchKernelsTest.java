// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

class BenchKernelsTest {
  @TempDir private Path folder;

  private static Cli.Result bench(String... more) {
    List<String> arguments =
        new ArrayList<>(List.of("bench", "kernels", "-r", "1", "--shapes", shapes()));
    arguments.addAll(List.of(more));
    return Cli.run(arguments.toArray(String[]::new));
  }

  private static String shapes() {
    return CaseFiles.path("cli/tiny.shapes").toString();
  }

  private static String name(JsonNode row) {
    return row.get("kernel").asString() + "/" + row.get("type").asString() + "/"
        + row.get("shape").asString();
  }

  /** Each kernel of the first model runs, is right, and has its figures. */
  @Test
  void jsonHasTheFieldsOfTheContract() {
    JsonNode json = bench("--seed", "7", "--json").json();
    assertThat(json.get("machine").get("backend").asString()).isIn("cuda", "cpu", "reference");
    assertThat(json.get("machine").get("cpu").asString()).isNotBlank();
    assertThat(json.get("machine").get("date").asString()).matches("\\d{4}-\\d\\d-\\d\\dT.*Z");
    assertThat(json.get("seed").asInt()).isEqualTo(7);
    boolean cpu = json.get("machine").get("backend").asString().equals("cpu");
    if (cpu) {
      assertThat(json.get("machine").get("threads").asInt()).isPositive();
      assertThat(json.get("machine").get("level").asString()).isNotBlank();
      assertThat(json.get("roofline").get("bandwidth_bytes_s").asDouble()).isGreaterThan(1e8);
    }
    List<String> names = new ArrayList<>();
    int measured = 0;
    for (JsonNode row : json.get("rows")) {
      names.add(name(row));
      // What takes less than the noise of a busy machine is skipped, with the reason.
      assertThat(row.get("status").asString()).as(name(row)).isIn("measured", "skipped");
      if (row.get("status").asString().equals("skipped")) {
        assertThat(row.get("reason").asString()).contains("noise");
        continue;
      }
      measured++;
      assertThat(row.get("seconds").asDouble()).isPositive();
      assertThat(row.get("bytes_s").asDouble()).isPositive();
      assertThat(row.get("ops_s").asDouble()).isNotNegative();
      assertThat(row.get("spread").asDouble()).isNotNegative();
      assertThat(row.has("cublas_ratio")).isFalse();
      if (cpu) {
        assertThat(row.get("bound").asString())
            .isIn("memory", "float32", "int8", "bfloat16");
        assertThat(row.get("arithmetic").asString()).isIn("float32", "int8", "bfloat16");
        assertThat(row.get("roofline_fraction").asDouble()).isPositive();
      }
    }
    assertThat(measured).isGreaterThan(names.size() / 2);
    assertThat(names)
        .doesNotHaveDuplicates()
        .contains(
            "matmul/f32/1x64x96",
            "matmul/q8_0/20x96x64",
            "matmul/q8_0/1x64x80",
            "embed/f32/1x64",
            "embed/q8_0/20x64:packed",
            "norm/f32/20x64",
            "norm/f32/1x4x16",
            "rope/f32/20x4x16:half_split",
            "store/f16/1x2x16",
            "attention/f16/1x4:2x16@40",
            "attention/f16/20x4:2x16@40",
            "gate/f32/1x96",
            "add/f32/20x64",
            "select/f32/1x64")
        // a prompt's rows but one want no logits; blocks of 256 do not fit rows of 64
        .doesNotContain("matmul/q8_0/20x64x80")
        .noneMatch(name -> name.contains("q4_k"));
  }

  @Test
  void theFilterTakesKernelsOfAllModels() {
    JsonNode json = bench("--filter", "^matmul/q4_k/1x|^add/", "--json").json();
    List<String> names = new ArrayList<>();
    json.get("rows").forEach(row -> names.add(name(row)));
    assertThat(names)
        .containsExactlyInAnyOrder(
            "matmul/q4_k/1x256x64", "matmul/q4_k/1x256x32", "matmul/q4_k/1x256x33",
            "add/f32/1x64", "add/f32/20x64",
            "add/f32/1x256", "add/f32/20x256");
  }

  @Test
  void aFilterWithoutKernelsIsAFailure() {
    Cli.Result result = bench("--filter", "softmax");
    assertThat(result.status()).isEqualTo(1);
    assertThat(result.lastError())
        .isEqualTo(
            "tokamak: --filter 'softmax': no kernel has such a name; they look like"
                + " matmul/f32/1x64x64");
  }

  @Test
  void theTableHasALineForEachKernelAndSaysTheSeed() {
    Cli.Result result = bench("--filter", "^gate/", "--backend", "reference").done();
    assertThat(result.out().lines().map(line -> line.split(" +")[0]))
        .containsExactly(
            "kernel", "gate/f32/1x96", "gate/f32/20x96", "gate/f32/1x64", "gate/f32/20x64");
    assertThat(result.out()).doesNotContain("cuBLAS", "baseline");
    assertThat(result.err()).containsPattern("4 kernels; seed \\d+\n");
  }

  @Test
  void fractionsAreDrawnOnAPage() throws IOException {
    Path page = folder.resolve("kernels.html");
    Cli.Result result = bench("--filter", "^matmul/.*64x96", "--plot", page.toString());
    if (result.out().contains("roofline:")) {
      assertThat(result.done().err()).contains("plot: " + page);
      assertThat(Files.readString(page)).contains("<svg", ">matmul 20x64x96<", ">q8_0<");
    } else {
      assertThat(result.lastError()).contains("--plot", "nothing to draw");
    }
  }

  @Test
  void rowsAreComparedWithAnEarlierRun() throws IOException {
    String[] select = {"--backend", "reference", "--filter", "^(gate|norm)/f32/1x(64|96)$"};
    Path file =
        Files.writeString(
            folder.resolve("before.json"),
            """
            {"machine":{"x":[1,{"y":2}]},"rows":[
            {"kernel":"gate","type":"f32","shape":"1x96","backend":"reference","seconds":1e3},
            {"kernel":"gate","type":"f32","shape":"1x64","backend":"cpu","seconds":1},
            {"kernel":"norm","type":"f32","shape":"1x64","backend":"reference","seconds":null},
            {"kernel":"norm","type":"f32","shape":"1x96","backend":"reference","seconds":1},
            {"kernel":"old","type":"f32","shape":"1x96","backend":"reference","seconds":1}]}
            """);
    List<String> arguments = new ArrayList<>(List.of(select));
    arguments.addAll(List.of("--baseline", file.toString()));
    Cli.Result table = bench(arguments.toArray(String[]::new)).done();
    assertThat(table.out())
        .contains("in " + file + " and not here: norm/f32/1x96\n")
        .containsPattern("here and not in " + file + ": .*gate/f32/1x64");
    arguments.add("--json");
    JsonNode json = bench(arguments.toArray(String[]::new)).json();
    assertThat(json.get("baseline").get("missing").get(0).asString()).isEqualTo("norm/f32/1x96");
    for (JsonNode row : json.get("rows")) {
      assertThat(row.has("baseline_ratio")).isEqualTo(name(row).equals("gate/f32/1x96"));
      if (row.has("baseline_ratio")) {
        assertThat(row.get("baseline_ratio").asDouble())
            .isEqualTo(1000 / row.get("seconds").asDouble());
      }
    }
    // What a run writes is a baseline.
    Path written = Files.writeString(folder.resolve("now.json"), json.toString());
    bench("--backend", "reference", "--filter", "^gate/f32/1x96$", "--baseline", written.toString())
        .done();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '!',
      value = {
        "[]                      | expected the object that bench kernels --json writes",
        "{\"rows\":              | Unexpected end-of-input",
        "{}                      | rows: missing",
        "{\"rows\":1}            | rows: expected an array",
        "{\"rows\":[3]}          | rows[0]: expected an object",
        "{\"rows\":[{\"kernel\":1}]} | rows[0].kernel: expected a text",
        "{\"rows\":[{\"kernel\":\"a\",\"type\":\"b\",\"shape\":\"c\"}]} | rows[0].backend: missing",
        "{\"rows\":[{\"kernel\":\"a\",\"type\":\"b\",\"shape\":\"c\",\"backend\":\"d\"}]}"
            + " | rows[0].seconds: missing",
        "{\"rows\":[{\"seconds\":-1}]} | rows[0].seconds: expected a number above 0 or null, found -1",
        "{\"rows\":[{\"seconds\":\"x\"}]} | rows[0].seconds: expected a number above 0 or null",
        "{\"rows\":[]} {}        | more than one JSON value",
      })
  void aDamagedBaselineIsNamed(String text, String message) throws IOException {
    Path file = Files.writeString(folder.resolve("before.json"), text);
    Cli.Result result = bench("--baseline", file.toString());
    assertThat(result.status()).isEqualTo(1);
    assertThat(result.out()).isEmpty();
    assertThat(result.err()).hasLineCount(1).startsWith("tokamak: " + file + ": ").contains(message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "rows 1 8 512      | rows 1 0          | rows: expected a whole number from 1 to 4096, found '0'",
        "rows 1 8 512      | rows              | line 1: rows: expected at least one value",
        "rows 1 8 512      |                   | rows: missing",
        "types F32         | types F33         | types: expected one of F32 F16 Q4_0",
        "caches F16        | caches Q4_K       | caches: expected one of F32 F16 BF16 Q8_0",
        "contexts 64       | contexts 64 many  | contexts: expected a whole number from 1 to 131072",
        "contexts 64       | rows 2            | line 4: rows: stands twice",
        "contexts 64       | kontexts 64       | line 4: expected rows, types, caches, contexts or model",
        "model m           | model             | line 5: model: expected a name",
        "hidden=64         | ''                | line 5: model m: hidden: missing",
        "hidden=64         | hidden=6k         | line 5: model m: hidden: expected a whole number from 1",
        "hidden=64         | hidden=99999999999 | line 5: model m: hidden: expected a whole number from 1",
        "ffn=64            | ff=64             | line 5: model m: expected NAME=VALUE with hidden, ffn",
        "ffn=64            | ffn=64 ffn=64     | line 5: model m: ffn: stands twice",
        "kv_heads=2        | kv_heads=3        | line 5: model m: kv_heads: 3 does not divide heads, 4",
        "head_dim=16       | head_dim=15       | line 5: model m: head_dim: 15 is not even",
        "rope=half_split   | rope=half         | line 5: model m: rope: expected interleaved or half_split",
        "head_norm=no      | head_norm=maybe   | line 5: model m: head_norm: expected yes or no",
      })
  void aDamagedShapesFileIsNamed(String right, String wrong, String message) throws IOException {
    String whole =
        """
        rows 1 8 512
        types F32
        caches F16
        contexts 64
        model m hidden=64 ffn=64 heads=4 kv_heads=2 head_dim=16 vocab=80 rope=half_split head_norm=no
        """;
    assertThat(whole).contains(right);
    String damaged =
        right.startsWith("model") && wrong != null
            ? whole.replaceFirst("model m.*", wrong)
            : whole.replace(right, wrong == null ? "" : wrong);
    Path file = Files.writeString(folder.resolve("my.shapes"), damaged);
    Cli.Result result = Cli.run("bench", "kernels", "--shapes", file.toString());
    assertThat(result.status()).isEqualTo(1);
    assertThat(result.err()).hasLineCount(1).startsWith("tokamak: " + file + ": ").contains(message);
  }

  @Test
  void whatDoesNotFitTheMemoryIsSkippedWithTheNumbers() throws IOException {
    Path file =
        Files.writeString(
            folder.resolve("big.shapes"),
            """
            rows 4096
            types F32
            caches F32
            contexts 131072
            model m hidden=131072 ffn=131072 heads=1024 kv_heads=1024 head_dim=1024 vocab=1048576 \
            rope=half_split head_norm=no
            """);
    JsonNode json =
        Cli.run(
                "bench", "kernels", "--shapes", file.toString(), "--json", "--filter",
                "attention|matmul/f32/4096x131072x1048576")
            .json();
    assertThat(json.get("rows").size()).isPositive();
    for (JsonNode row : json.get("rows")) {
      assertThat(row.get("status").asString()).isEqualTo("skipped");
      assertThat(row.get("reason").asString()).matches(".*needs .*B of .* may be used");
    }
  }

  @Test
  void aMisspeltSecondCommandIsNamed() {
    Cli.Result result = Cli.run("bench", "kernel", "--json");
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err())
        .hasLineCount(1)
        .startsWith("tokamak: unknown command \"kernel\"; did you mean kernels?");
  }

  /** A model has no part in it: to take one and do nothing with it would mislead. */
  @Test
  void optionsOfBenchBeforeKernelsAreRefused() {
    Cli.Result result = Cli.run("bench", "-m", "model.gguf", "kernels", "--filter", "^add/");
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.out()).isEmpty();
    assertThat(result.err())
        .hasLineCount(1)
        .startsWith("tokamak: option --model before kernels does nothing: those of tokamak bench");
    assertThat(Cli.run("bench", "kernels", "-m", "model.gguf").err())
        .contains("unknown option \"-m\"");
    assertThat(Cli.run("bench", "--help", "kernels").done().out()).contains("Usage: tokamak bench");
  }

  @Test
  void benchItselfIsStillThere() {
    assertThat(Cli.run("bench", "--xyzzyx").err()).contains("(tokamak bench --help");
    assertThat(Cli.run("bench", "--help").done().out()).contains("kernels");
    assertThat(Cli.run("bench", "kernels", "--help").done().out())
        .contains("Usage: tokamak bench kernels", "--filter", "--baseline", "--shapes", "--json");
  }
}
