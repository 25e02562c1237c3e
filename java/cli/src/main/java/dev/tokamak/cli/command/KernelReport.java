// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.Roofline;
import dev.tokamak.backend.Roofline.Arithmetic;
import dev.tokamak.backend.cpu.CpuBackend;
import dev.tokamak.backend.machine.Nvml;
import dev.tokamak.cli.Console;
import dev.tokamak.cli.Json;
import dev.tokamak.cli.Quantity;
import dev.tokamak.cli.kernels.Baseline;
import dev.tokamak.cli.kernels.Kernel;
import dev.tokamak.cli.kernels.Row;
import dev.tokamak.cli.kernels.SameSize;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import tools.jackson.core.JsonGenerator;

/** What {@code bench kernels} found, as a table or as JSON. */
record KernelReport(
    Backend backend,
    Processor processor,
    List<Row> rows,
    Optional<Roofline> roofline,
    Optional<Comparison> comparison,
    int repetitions,
    long seed) {
  private static final int MOST_NAMES = 8;

  /**
   * With an earlier run.
   *
   * @param missing kernels of that run which were asked for and do not exist any more
   */
  record Comparison(String file, Baseline baseline, List<String> missing) {}

  /** One line of the table. */
  private record Line(String name, List<String> cells, String text) {}

  /** The line that the command ends with, if a kernel failed. */
  Optional<String> failure() {
    List<String> failed =
        rows.stream()
            .filter(row -> row.outcome() instanceof Row.Failed)
            .map(row -> row.kernel().name())
            .toList();
    return failed.isEmpty()
        ? Optional.empty()
        : Optional.of(failed.size() + " of " + rows.size() + " kernels failed: " + names(failed));
  }

  /** So many names as a line holds. */
  private static String names(List<String> names) {
    String some = String.join(", ", names.stream().limit(MOST_NAMES).toList());
    return names.size() <= MOST_NAMES ? some : some + " and " + (names.size() - MOST_NAMES) + " more";
  }

  /** Draws the fractions of the roofline. */
  void draw(Path file) {
    KernelPlot.write(
        file, processor.name() + ", " + backend.name() + ": " + backend.description(), rows);
  }

  private List<String> slow() {
    Map<String, SameSize.Place> places = SameSize.places(rows);
    return rows.stream()
        .map(row -> row.kernel().name())
        .filter(name -> places.containsKey(name) && places.get(name).slow())
        .toList();
  }

  // ---- table ------------------------------------------------------------------------------

  void print(Console console) {
    boolean yardsticks =
        rows.stream()
            .flatMap(row -> row.measured().stream())
            .anyMatch(measured -> measured.yardstickSeconds().isPresent());
    List<String> titles =
        new ArrayList<>(List.of("time", "spread", "bytes", "operations", "roofline", "bound"));
    comparison.ifPresent(_ -> titles.add("baseline"));
    if (yardsticks) {
      titles.add("cuBLAS");
    }
    List<Line> lines = new ArrayList<>(List.of(new Line("kernel", titles, "")));
    Map<String, SameSize.Place> places = SameSize.places(rows);
    for (Row row : rows) {
      lines.add(line(row, yardsticks, Optional.ofNullable(places.get(row.kernel().name()))));
    }
    int[] widths = new int[titles.size()];
    int nameWidth = 0;
    for (Line line : lines) {
      nameWidth = Math.max(nameWidth, line.name.length());
      for (int i = 0; i < line.cells.size(); i++) {
        widths[i] = Math.max(widths[i], line.cells.get(i).length());
      }
    }
    for (Line line : lines) {
      var text = new StringBuilder(line.name).repeat(' ', nameWidth - line.name.length());
      for (int i = 0; i < line.cells.size(); i++) {
        String cell = line.cells.get(i);
        text.append("  ").repeat(' ', widths[i] - cell.length()).append(cell);
      }
      if (!line.text.isEmpty()) {
        text.append("  ").append(line.text);
      }
      console.out().printf("%s%n", text.toString().stripTrailing());
    }
    roofline.ifPresent(
        r ->
            console.out().printf(
                "roofline: %s read%s%n", Quantity.of(r.bytesPerSecond(), "B/s"), peaks(r)));
    if (backend.emulated()) {
      console.out().printf("emulated: these are times of software, not of a device%n");
    }
    comparison.ifPresent(compared -> print(console, compared));
    List<String> slow = slow();
    if (!slow.isEmpty()) {
      console.out().printf(
          "slow, more than 25 %% behind the best type of their size: %s%n",
          String.join(", ", slow));
    }
  }

  /** Of the kinds of arithmetic that the machine has, or that the rows are made of. */
  private String peaks(Roofline measured) {
    Set<Arithmetic> kinds = EnumSet.of(Arithmetic.FLOAT32);
    if (measured.int8Ops() > 0) {
      kinds.add(Arithmetic.INT8);
    }
    if (measured.bf16Ops() > 0) {
      kinds.add(Arithmetic.BFLOAT16);
    }
    rows.stream()
        .flatMap(row -> row.measured().stream())
        .flatMap(found -> found.limit().stream())
        .forEach(limit -> kinds.add(limit.arithmetic()));
    var text = new StringBuilder();
    for (Arithmetic kind : kinds) {
      text.append(", ").append(Quantity.of(measured.peak(kind), "OP/s"));
      text.append(' ').append(Row.name(kind));
    }
    return text.toString();
  }

  private void print(Console console, Comparison compared) {
    List<String> added = added(compared);
    if (!compared.missing.isEmpty()) {
      console.out().printf(
          "in %s and not here: %s%n", compared.file, names(compared.missing));
    }
    if (!added.isEmpty()) {
      console.out().printf("here and not in %s: %s%n", compared.file, names(added));
    }
  }

  private Line line(Row row, boolean yardsticks, Optional<SameSize.Place> place) {
    String name = row.kernel().name();
    return switch (row.outcome()) {
      case Row.Failed failed -> new Line(name, List.of(), "FAILED: " + failed.reason());
      case Row.Skipped skipped -> new Line(name, List.of(), "skipped: " + skipped.reason());
      case Row.Measured measured -> {
        List<String> cells = new ArrayList<>();
        cells.add(time(measured.seconds()));
        cells.add(Quantity.percent(measured.spread()));
        cells.add(Quantity.of(measured.work().bytes() / measured.seconds(), "B/s"));
        double operations = measured.work().operations();
        cells.add(operations == 0 ? "-" : Quantity.of(operations / measured.seconds(), "OP/s"));
        cells.add(measured.limit().map(l -> Quantity.percent(fraction(measured, l))).orElse("-"));
        cells.add(measured.limit().map(Row.Limit::bound).orElse("-"));
        if (comparison.isPresent()) {
          cells.add(ratio(then(row), measured.seconds()));
        }
        if (yardsticks) {
          cells.add(ratio(measured.yardstickSeconds(), measured.seconds()));
        }
        String slow =
            place
                .filter(SameSize.Place::slow)
                .map(p -> "slow: " + Quantity.percent(p.share()) + " of " + p.best())
                .orElse("");
        yield new Line(name, cells, slow);
      }
    };
  }

  private static String time(double seconds) {
    return seconds < 1e-3
        ? Quantity.significant(seconds * 1e6) + " µs"
        : seconds < 1
            ? Quantity.significant(seconds * 1e3) + " ms"
            : Quantity.significant(seconds) + " s";
  }

  private static String ratio(OptionalDouble then, double now) {
    return then.isPresent() ? Quantity.significant(then.getAsDouble() / now) + "x" : "-";
  }

  private static double fraction(Row.Measured measured, Row.Limit limit) {
    return limit.seconds() / measured.seconds();
  }

  private OptionalDouble then(Row row) {
    return comparison.isPresent()
        ? comparison.get().baseline.seconds(row.kernel(), backend.name())
        : OptionalDouble.empty();
  }

  /** Kernels that the earlier run had not. */
  private List<String> added(Comparison compared) {
    return rows.stream()
        .filter(row -> row.measured().isPresent())
        .map(Row::kernel)
        .filter(kernel -> compared.baseline.seconds(kernel, backend.name()).isEmpty())
        .map(Kernel::name)
        .toList();
  }

  // ---- JSON -------------------------------------------------------------------------------

  void writeJson(Console console) {
    Json.line(console.out(), this::write);
  }

  private void write(JsonGenerator json) {
    writeMachine(json);
    json.writeNumberProperty("seed", seed);
    json.writeNumberProperty("repetitions", repetitions);
    roofline.ifPresent(
        r -> {
          json.writeObjectPropertyStart("roofline");
          Devices.writeRoofline(json, r);
          json.writeEndObject();
        });
    backend.yardstickObstacle().ifPresent(why -> json.writeStringProperty("cublas_obstacle", why));
    comparison.ifPresent(
        compared -> {
          json.writeObjectPropertyStart("baseline");
          json.writeStringProperty("file", compared.file);
          writeNames(json, "missing", compared.missing);
          writeNames(json, "new", added(compared));
          json.writeEndObject();
        });
    writeNames(json, "slow", slow());
    Map<String, SameSize.Place> places = SameSize.places(rows);
    json.writeArrayPropertyStart("rows");
    for (Row row : rows) {
      write(json, row, Optional.ofNullable(places.get(row.kernel().name())));
    }
    json.writeEndArray();
  }

  private static void writeNames(JsonGenerator json, String name, List<String> names) {
    json.writeArrayPropertyStart(name);
    names.forEach(json::writeString);
    json.writeEndArray();
  }

  private void writeMachine(JsonGenerator json) {
    json.writeObjectPropertyStart("machine");
    json.writeStringProperty("backend", backend.name());
    json.writeStringProperty("variant", backend.variant());
    json.writeStringProperty("description", backend.description());
    json.writeBooleanProperty("emulated", backend.emulated());
    json.writeStringProperty("cpu", processor.name());
    switch (backend) {
      case CpuBackend cpu -> {
        json.writeStringProperty("level", cpu.level());
        json.writeNumberProperty("threads", cpu.threads());
      }
      default ->
          Nvml.gpus().gpus().stream()
              .findFirst()
              .ifPresent(gpu -> json.writeStringProperty("gpu", gpu.name()));
    }
    Commit.ofCheckout().ifPresent(commit -> json.writeStringProperty("commit", commit));
    json.writeStringProperty("date", Instant.now().truncatedTo(ChronoUnit.SECONDS).toString());
    json.writeEndObject();
  }

  private void write(JsonGenerator json, Row row, Optional<SameSize.Place> place) {
    Kernel kernel = row.kernel();
    json.writeStartObject();
    json.writeStringProperty("kernel", kernel.operation());
    json.writeStringProperty("type", kernel.typeName());
    json.writeStringProperty("shape", kernel.shape());
    json.writeStringProperty("backend", backend.name());
    switch (row.outcome()) {
      case Row.Failed failed -> {
        json.writeStringProperty("status", "failed");
        json.writeStringProperty("error", failed.reason());
        json.writeNullProperty("seconds");
      }
      case Row.Skipped skipped -> {
        json.writeStringProperty("status", "skipped");
        json.writeStringProperty("reason", skipped.reason());
        json.writeNullProperty("seconds");
      }
      case Row.Measured measured -> {
        json.writeStringProperty("status", "measured");
        write(json, row, measured);
        place.ifPresent(p -> Json.number(json, "best_of_size_ratio", p.share()));
      }
    }
    json.writeEndObject();
  }

  private void write(JsonGenerator json, Row row, Row.Measured measured) {
    double seconds = measured.seconds();
    Json.number(json, "seconds", seconds);
    Json.number(json, "spread", measured.spread());
    json.writeNumberProperty("repeats", measured.repeats());
    Json.number(json, "bytes", measured.work().bytes());
    Json.number(json, "operations", measured.work().operations());
    Json.number(json, "bytes_s", measured.work().bytes() / seconds);
    Json.number(json, "ops_s", measured.work().operations() / seconds);
    measured
        .limit()
        .ifPresent(
            limit -> {
              json.writeStringProperty("bound", limit.bound());
              json.writeStringProperty("arithmetic", Row.name(limit.arithmetic()));
              Json.number(json, "roofline_fraction", fraction(measured, limit));
            });
    then(row).ifPresent(then -> Json.number(json, "baseline_ratio", then / seconds));
    measured
        .yardstickSeconds()
        .ifPresent(theirs -> Json.number(json, "cublas_ratio", theirs / seconds));
  }
}
