// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.Backends;
import dev.tokamak.backend.Roofline;
import dev.tokamak.backend.cpu.CpuBackend;
import dev.tokamak.backend.cuda.CudaObstacle;
import dev.tokamak.backend.cuda.CudaProbe;
import dev.tokamak.backend.machine.Nvml;
import dev.tokamak.cli.Console;
import dev.tokamak.cli.Json;
import dev.tokamak.cli.Quantity;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import tools.jackson.core.JsonGenerator;

/** What this machine has, and which backend would run. */
@Command(
    name = "devices",
    description =
        "Shows the processor, memory and GPUs, and which backend would be chosen and why.")
public final class Devices implements Runnable {
  @Mixin private BackendOptions backend;
  @Mixin private OutputOptions output;

  private final Console console;

  public Devices(Console console) {
    this.console = console;
  }

  private record Report(
      Backends.Choice choice,
      List<Backends.Probe> probes,
      Processor processor,
      List<String> levels,
      Optional<Roofline> roofline,
      List<CudaProbe.Device> cuda,
      Nvml.Answer gpus) {}

  @Override
  public void run() {
    Backends.Options options = backend.options();
    Backends.Choice choice = Backends.open(options);
    try (Backend chosen = choice.backend()) {
      Report report =
          new Report(
              choice,
              Backends.probe(options),
              Processor.ofMachine(),
              CpuBackend.levels(),
              chosen.roofline(),
              CudaProbe.ofMachine().devices(),
              Nvml.gpus());
      if (output.json) {
        Json.line(console.out(), json -> write(json, report));
      } else {
        print(report);
      }
    }
  }

  private void print(Report report) {
    Processor cpu = report.processor;
    row("backend", report.choice.backend().name() + ": " + report.choice.reason());
    row("", report.choice.backend().description());
    for (Backends.Probe probe : report.probes) {
      probe.obstacle().ifPresent(why -> row("", probe.name() + " cannot run: " + why));
    }
    row("processor", cpu.name());
    row("", cpu.online() + " processors, " + cpu.usable() + " for this process"
        + cpu.quota().map(q -> ", cgroup limit " + Quantity.significant(q)).orElse(""));
    row("", "features " + String.join(" ", cpu.features()));
    if (!report.levels.isEmpty()) {
      row("", "kernels for " + String.join(", ", report.levels));
    }
    row("memory", Quantity.bytes(cpu.memory()) + ", " + Quantity.bytes(cpu.available())
        + " available"
        + cpu.memoryLimit().map(l -> ", cgroup limit " + Quantity.bytes(l)).orElse(""));
    report.roofline.ifPresent(
        r -> {
          row("measured", Quantity.of(r.bytesPerSecond(), "B/s") + " read bandwidth");
          row("", Quantity.of(r.floatOps(), "OP/s") + " float32");
          row("", Quantity.of(r.int8Ops(), "OP/s") + " int8");
          if (r.bf16Ops() > 0) {
            row("", Quantity.of(r.bf16Ops(), "OP/s") + " bfloat16");
          }
        });
    report.cuda.forEach(this::print);
    if (report.gpus.gpus().isEmpty()) {
      row("GPUs", "none" + (report.gpus.obstacle().isEmpty() ? "" : ": " + report.gpus.obstacle()));
    }
    for (Nvml.Gpu gpu : report.gpus.gpus()) {
      row(gpu.index() == 0 ? "GPUs" : "", gpu.index() + ": " + gpu.name() + ", "
          + Quantity.bytes(gpu.totalBytes()) + ", " + Quantity.bytes(gpu.freeBytes()) + " free");
    }
  }

  /** A device as CUDA sees it, which may be fewer, or others, than the driver has. */
  private void print(CudaProbe.Device device) {
    String what =
        device.obstacle().map(CudaObstacle::message)
            .orElse(
                "compute capability " + device.capability() / 10 + "." + device.capability() % 10
                    + ", " + device.multiprocessors() + " multiprocessors, "
                    + Quantity.bytes(device.memoryBytes()) + ", "
                    + Quantity.bytes(device.freeBytes()) + " free");
    row(device.index() == 0 ? "CUDA" : "", device.index() + ": " + device.name() + ", " + what);
  }

  private void row(String title, String text) {
    console.out().printf("%-12s%s%n", title, text);
  }

  private static void write(JsonGenerator json, Report report) {
    json.writeStringProperty("selected", report.choice.backend().name());
    json.writeStringProperty("reason", report.choice.reason());
    json.writeStringProperty("description", report.choice.backend().description());
    json.writeArrayPropertyStart("backends");
    for (Backends.Probe probe : report.probes) {
      json.writeStartObject();
      json.writeStringProperty("name", probe.name());
      json.writeBooleanProperty("runs", probe.obstacle().isEmpty());
      probe.obstacle().ifPresent(why -> json.writeStringProperty("obstacle", why));
      json.writeEndObject();
    }
    json.writeEndArray();
    writeProcessor(json, report);
    json.writeArrayPropertyStart("cuda");
    for (CudaProbe.Device device : report.cuda) {
      json.writeStartObject();
      json.writeNumberProperty("index", device.index());
      json.writeStringProperty("name", device.name());
      json.writeNumberProperty("capability", device.capability());
      json.writeNumberProperty("multiprocessors", device.multiprocessors());
      json.writeNumberProperty("memory_bytes", device.memoryBytes());
      json.writeNumberProperty("free_bytes", device.freeBytes());
      device.obstacle().ifPresent(why -> json.writeStringProperty("obstacle", why.message()));
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeArrayPropertyStart("gpus");
    for (Nvml.Gpu gpu : report.gpus.gpus()) {
      json.writeStartObject();
      json.writeNumberProperty("index", gpu.index());
      json.writeStringProperty("name", gpu.name());
      json.writeNumberProperty("memory_bytes", gpu.totalBytes());
      json.writeNumberProperty("free_bytes", gpu.freeBytes());
      json.writeEndObject();
    }
    json.writeEndArray();
    if (!report.gpus.obstacle().isEmpty()) {
      json.writeStringProperty("gpus_obstacle", report.gpus.obstacle());
    }
  }

  private static void writeProcessor(JsonGenerator json, Report report) {
    Processor cpu = report.processor;
    json.writeObjectPropertyStart("cpu");
    json.writeStringProperty("name", cpu.name());
    json.writeNumberProperty("processors", cpu.online());
    json.writeNumberProperty("usable", cpu.usable());
    cpu.quota().ifPresent(quota -> json.writeNumberProperty("cgroup_processors", quota));
    writeStrings(json, "features", cpu.features());
    writeStrings(json, "levels", report.levels);
    json.writeNumberProperty("memory_bytes", cpu.memory());
    json.writeNumberProperty("available_bytes", cpu.available());
    cpu.memoryLimit().ifPresent(limit -> json.writeNumberProperty("cgroup_memory_bytes", limit));
    report.roofline.ifPresent(r -> writeRoofline(json, r));
    json.writeEndObject();
  }

  static void writeRoofline(JsonGenerator json, Roofline roofline) {
    Json.number(json, "bandwidth_bytes_s", roofline.bytesPerSecond());
    Json.number(json, "f32_ops_s", roofline.floatOps());
    Json.number(json, "int8_ops_s", roofline.int8Ops());
    Json.number(json, "bf16_ops_s", roofline.bf16Ops());
  }

  private static void writeStrings(JsonGenerator json, String name, List<String> values) {
    json.writeArrayPropertyStart(name);
    values.forEach(json::writeString);
    json.writeEndArray();
  }
}
