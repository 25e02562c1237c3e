// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Failure;
import dev.tokamak.cli.kernels.Kernel;
import dev.tokamak.cli.kernels.Row;
import dev.tokamak.cli.report.BarChart;
import dev.tokamak.cli.report.BarChart.Bar;
import dev.tokamak.cli.report.ChartPage;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What share of the roofline kernels with weights or a cache reach, drawn. */
final class KernelPlot {
  private KernelPlot() {}

  /**
   * Writes a page, or the picture alone if the file's name ends with {@code .svg}.
   *
   * @param machine a line about what was measured
   */
  static void write(Path file, String machine, List<Row> rows) {
    BarChart chart = chart(rows);
    if (chart.groups().isEmpty()) {
      throw new Failure(
          "--plot " + file + ": nothing to draw: no kernel with weights beside a roofline");
    }
    String text =
        file.toString().endsWith(".svg")
            ? chart.svg()
            : new ChartPage("Kernels: shares of the roofline", machine).bars(chart).html();
    try {
      Files.writeString(file, text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Types of one shape stand together. What has none works on activations, which caches hold: a
   * share of the memory's bandwidth says nothing there.
   */
  private static BarChart chart(List<Row> rows) {
    Map<String, List<Bar>> groups = new LinkedHashMap<>();
    List<String> bounds = new ArrayList<>();
    for (Row row : rows) {
      Kernel kernel = row.kernel();
      Optional<Row.Limit> limit = row.measured().flatMap(Row.Measured::limit);
      if (limit.isEmpty() || kernel.matrix().isEmpty() && kernel.cache().isEmpty()) {
        continue;
      }
      String bound = limit.get().bound();
      if (!bounds.contains(bound)) {
        bounds.add(bound);
      }
      groups
          .computeIfAbsent(
              kernel.operation() + " " + kernel.shape(), _ -> new ArrayList<>())
          .add(
              new Bar(
                  kernel.typeName(),
                  limit.get().seconds() / row.measured().orElseThrow().seconds(),
                  bound));
    }
    return new BarChart(
        bounds,
        groups.entrySet().stream()
            .map(group -> new BarChart.Group(group.getKey(), group.getValue()))
            .toList());
  }
}
