// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.backend.Backends;
import dev.tokamak.backend.Roofline.Arithmetic;
import dev.tokamak.backend.Work;
import dev.tokamak.backend.reference.ReferenceBackend;
import dev.tokamak.cli.Console;
import dev.tokamak.cli.Failure;
import dev.tokamak.cli.StandardOutput;
import dev.tokamak.cli.kernels.Kernel;
import dev.tokamak.cli.kernels.Kernels;
import dev.tokamak.cli.kernels.Row;
import dev.tokamak.cli.kernels.Shapes;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What a report says of given times. */
class KernelReportTest {
  private static final List<Kernel> KERNELS =
      Kernels.of(
          Shapes.parse(
              "a test",
              """
              rows 1 8 512
              types F16 BF16 Q8_0 Q5_K Q6_K Q4_0 Q4_K
              caches F16 BF16
              contexts 512
              model m hidden=256 ffn=512 heads=4 kv_heads=2 head_dim=64 vocab=300 rope=half_split \
              head_norm=no
              """));

  @TempDir private Path folder;

  private static Row row(String name, Row.Outcome outcome) {
    return new Row(
        KERNELS.stream().filter(k -> k.name().equals(name)).findFirst().orElseThrow(), outcome);
  }

  private static Row row(String name, double bytesPerSecond, double operationsPerSecond) {
    return row(
        name,
        new Row.Measured(
            0.5,
            0,
            new Work(bytesPerSecond / 2, operationsPerSecond / 2),
            1,
            Optional.of(new Row.Limit(0.25, Arithmetic.FLOAT32, 0.125)),
            OptionalDouble.empty()));
  }

  private static KernelReport report(List<Row> rows) {
    return new KernelReport(
        new ReferenceBackend(Backends.Options.defaults()),
        Processor.ofMachine(),
        rows,
        Optional.empty(),
        Optional.empty(),
        1,
        1);
  }

  private interface Written {
    void to(Console console);
  }

  private static String text(Written written) throws IOException {
    var out = new ByteArrayOutputStream();
    var console =
        new Console(
            new ByteArrayInputStream(new byte[0]),
            new StandardOutput(out),
            new PrintStream(new ByteArrayOutputStream()),
            false,
            false);
    written.to(console);
    console.out().flush();
    return out.toString(StandardCharsets.UTF_8);
  }

  private static final List<Row> ROWS =
      List.of(
          row("matmul/f16/1x256x512", 7.4, 100), // slow
          row("matmul/bf16/1x256x512", 10, 1),
          row("matmul/q8_0/1x256x512", 1, 1), // types of another size say nothing
          row("matmul/q5_k/1x256x512", 0.76, 1),
          row("matmul/q6_k/1x256x512", 0.1, 1), // slow
          row("matmul/q4_0/1x256x512", new Row.Failed("wrong")),
          row("matmul/q4_k/1x256x512", 0.1, 1), // nothing to compare with
          row("matmul/q8_0/8x256x512", 1, 1), // a few rows are judged by neither
          row("matmul/q5_k/8x256x512", 0.1, 0.1),
          row("matmul/q4_0/512x256x512", 0.1, 4),
          row("matmul/q4_k/512x256x512", 100, 2), // slow
          row("matmul/q4_k/512x512x256", 1, 1), // another shape
          row("attention/f16/1x4:2x64@512", 1, 1),
          row("attention/bf16/1x4:2x64@512", 0.5, 1), // slow
          row("embed/q4_0/512x256", 1, 1),
          row("embed/q4_k/512x256", 0.1, 0.1));

  private static final List<String> SLOW =
      List.of(
          "matmul/f16/1x256x512",
          "matmul/q6_k/1x256x512",
          "matmul/q4_k/512x256x512",
          "attention/bf16/1x4:2x64@512");

  @Test
  void whatIsSlowerThanOthersOfItsSizeIsMarkedAndNamed() throws IOException {
    String table = text(report(ROWS)::print);
    assertThat(table.lines().filter(line -> line.contains(" slow: ")).map(l -> l.split(" ")[0]))
        .containsExactlyElementsOf(SLOW);
    assertThat(table)
        .containsPattern("matmul/f16/1x256x512 .* slow: 74.0 % of BF16\n")
        .endsWith(
            "slow, more than 25 % behind the best type of their size: "
                + String.join(", ", SLOW) + "\n");
  }

  @Test
  void jsonHasTheRatioAndTheNames() throws IOException {
    JsonNode json = JsonMapper.shared().readTree(text(report(ROWS)::writeJson));
    List<String> slow = new ArrayList<>();
    json.get("slow").forEach(name -> slow.add(name.asString()));
    assertThat(slow).containsExactlyElementsOf(SLOW);
    Map<Integer, Double> ratios = Map.of(0, 0.74, 1, 1.0, 2, 1.0, 3, 0.76, 10, 0.5, 13, 0.5);
    ratios.forEach(
        (row, ratio) ->
            assertThat(json.get("rows").get(row).get("best_of_size_ratio").asDouble())
                .isEqualTo(ratio));
    for (int row : new int[] {5, 6, 7, 11, 14}) {
      assertThat(json.get("rows").get(row).has("best_of_size_ratio")).isFalse();
    }
  }

  @Test
  void nothingSlowIsNothingSaid() throws IOException {
    assertThat(text(report(ROWS.subList(1, 4))::print)).doesNotContain("slow");
  }

  @Test
  void fractionsAreDrawn() throws IOException {
    Path picture = folder.resolve("kernels.svg");
    report(ROWS).draw(picture);
    assertThat(Files.readString(picture).split("<rect ", -1))
        .as("one for the legend, two for each measured row")
        .hasSize(1 + 1 + 2 * (ROWS.size() - 1));
    assertThat(Files.readString(picture))
        .contains(">matmul 1x256x512<", ">q6_k<", ">50 %<", ">memory<");
    Path page = folder.resolve("kernels.html");
    report(ROWS).draw(page);
    assertThat(Files.readString(page)).contains("<h1>", Files.readString(picture).strip());
  }

  @Test
  void aPlotOfNothingIsAFailure() {
    Path picture = folder.resolve("kernels.svg");
    assertThatThrownBy(() -> report(List.of(ROWS.get(5))).draw(picture))
        .isInstanceOf(Failure.class)
        .hasMessage(
            "--plot " + picture + ": nothing to draw: no kernel with weights beside a roofline");
    assertThat(picture).doesNotExist();
  }
}
