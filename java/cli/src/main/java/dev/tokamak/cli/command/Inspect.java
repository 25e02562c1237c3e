// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.backend.QuantType;
import dev.tokamak.cli.Console;
import dev.tokamak.cli.Failure;
import dev.tokamak.cli.Json;
import dev.tokamak.cli.Quantity;
import dev.tokamak.cli.StandardOutput;
import dev.tokamak.cli.Visible;
import dev.tokamak.embedded.EmbeddedModel;
import dev.tokamak.model.Architecture;
import dev.tokamak.model.ModelFile;
import dev.tokamak.model.family.Families;
import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.format.MetadataValue;
import dev.tokamak.model.format.gguf.GgufFile;
import dev.tokamak.model.format.gguf.GgufType;
import dev.tokamak.model.format.gguf.TensorInfo;
import dev.tokamak.model.format.gguf.WeightCheck;
import dev.tokamak.model.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.core.JsonGenerator;

/** What is in a model file, whether or not the engine runs it. */
@Command(
    name = "inspect",
    description = "Shows a model file: metadata, architecture, tensors, sizes, memory needed.")
public final class Inspect implements Runnable {
  @Parameters(paramLabel = "FILE", description = "A GGUF file, or " + EmbeddedModel.NAME + ", the model that is in the program.")
  private String name;

  @Option(
      names = "--check",
      description =
          "Reads all weights and looks for values that are not finite; exit status 1 if there are.")
  private boolean check;

  @Mixin private OutputOptions output;

  private final Console console;

  public Inspect(Console console) {
    this.console = console;
  }

  /** What the engine makes of the file. */
  private record Findings(
      Optional<Architecture> architecture,
      List<String> obstacles,
      Optional<WeightCheck.Report> weights) {}

  @Override
  public void run() {
    try (ModelFile model = ModelFile.open(EmbeddedModel.named(name))) {
      List<String> obstacles = new ArrayList<>();
      Optional<Architecture> architecture =
          attempt(() -> Families.of(model).architecture(model), obstacles);
      attempt(() -> Tokenizer.of(model.metadata()), obstacles);
      Map<GgufType, Long> foreign =
          model.gguf().tensors().stream()
              .filter(tensor -> tensor.type().quantType().isEmpty())
              .collect(
                  Collectors.groupingBy(TensorInfo::type, TreeMap::new, Collectors.counting()));
      foreign.forEach(
          (type, count) ->
              obstacles.add("type " + type + " of " + count + " tensors is not supported"));
      Optional<WeightCheck.Report> weights =
          check ? Optional.of(WeightCheck.scan(model.gguf())) : Optional.empty();
      var findings = new Findings(architecture, obstacles, weights);
      if (output.json) {
        Json.line(console.out(), json -> write(json, model.gguf(), findings));
      } else {
        print(model.gguf(), findings);
      }
      weights.map(WeightCheck.Report::findings).filter(list -> !list.isEmpty()).ifPresent(
          list -> {
            throw new Failure(
                model.source() + ": values that are not finite in " + list.size()
                    + (list.size() == 1 ? " tensor: " : " tensors, the first: ")
                    + list.getFirst());
          });
    }
  }

  private static <T> Optional<T> attempt(Supplier<T> work, List<String> obstacles) {
    try {
      return Optional.of(work.get());
    } catch (FormatException e) {
      obstacles.add(e.getMessage());
      return Optional.empty();
    }
  }

  /** Bytes of keys and values of one sequence of so many tokens. */
  private static long cacheBytes(Architecture a, int tokens, QuantType type) {
    return 2 * type.bytes((long) a.kvHeads() * a.headDim()) * a.layers() * tokens;
  }

  private static long weightBytes(GgufFile file) {
    return file.tensors().stream().mapToLong(TensorInfo::bytes).sum();
  }

  private static long parameters(GgufFile file) {
    return file.tensors().stream().mapToLong(TensorInfo::elements).sum();
  }

  private static String family(Metadata metadata) {
    return metadata.value("general.architecture").map(MetadataValue::toString).orElse("unknown");
  }

  private void print(GgufFile file, Findings findings) {
    StandardOutput out = console.out();
    row("file", file.path() + ", " + Quantity.bytes(file.bytes()) + ", GGUF version "
        + file.version() + (file.paths().size() > 1 ? ", " + file.paths().size() + " pieces" : ""));
    row("architecture", family(file.metadata()));
    findings.architecture.ifPresent(
        a -> {
          row("", a.layers() + " layers, dim " + a.dim() + ", hidden " + a.hidden());
          row("", a.heads() + " query heads, " + a.kvHeads() + " key and value heads of "
              + a.headDim());
          row("", "vocabulary " + a.vocabulary() + ", context " + a.context());
        });
    row("parameters", Quantity.of(parameters(file), "").strip());
    row("memory", "weights " + Quantity.bytes(weightBytes(file)));
    findings.architecture.ifPresent(
        a -> {
          for (QuantType type : List.of(QuantType.F32, QuantType.F16)) {
            row("", "cache of " + a.context() + " tokens " + Quantity.bytes(
                cacheBytes(a, a.context(), type)) + " in " + type);
          }
        });
    row("runs here", findings.obstacles.isEmpty() ? "yes" : "no");
    findings.obstacles.forEach(obstacle -> row("", obstacle));
    findings.weights.ifPresent(
        report -> {
          boolean sound = report.findings().isEmpty();
          row("weights", sound ? "all finite" : "not finite:");
          report.findings().forEach(finding -> row("", finding.toString()));
          report.unchecked().forEach(tensor -> row("", "not checked: " + tensor));
        });
    out.println("\nmetadata (" + file.metadata().keys().size() + ")");
    for (String key : file.metadata().keys()) {
      MetadataValue value = file.metadata().value(key).orElseThrow();
      String text = value instanceof MetadataValue.Text ? shortened(value.toString())
          : Visible.line(value.toString());
      out.println("  " + Visible.line(key) + " = " + text + "  (" + value.label() + ")");
    }
    out.println("\ntensors (" + file.tensors().size() + "), innermost dimension first");
    for (TensorInfo tensor : file.tensors()) {
      out.printf(
          "  %-40s %-8s %-20s %s%n",
          Visible.line(tensor.name()),
          tensor.type(),
          Arrays.toString(tensor.shape()),
          Quantity.bytes(tensor.bytes()));
    }
  }

  /** Chat templates are pages long. */
  private static String shortened(String text) {
    return text.length() <= 100
        ? Visible.quoted(text)
        : Visible.quoted(text.substring(0, 100)) + "… " + text.length() + " characters in all";
  }

  private void row(String title, String text) {
    console.out().printf("%-14s%s%n", title, Visible.line(text));
  }

  private static void write(JsonGenerator json, GgufFile file, Findings findings) {
    json.writeStringProperty("format", "gguf");
    json.writeNumberProperty("version", file.version());
    json.writeStringProperty("architecture", family(file.metadata()));
    json.writeNumberProperty("bytes", file.bytes());
    json.writeNumberProperty("parameters", parameters(file));
    findings.architecture.ifPresent(a -> write(json, a));
    json.writeObjectPropertyStart("memory");
    json.writeNumberProperty("weights_bytes", weightBytes(file));
    findings.architecture.ifPresent(
        a -> {
          json.writeNumberProperty("cache_f32_bytes", cacheBytes(a, a.context(), QuantType.F32));
          json.writeNumberProperty("cache_f16_bytes", cacheBytes(a, a.context(), QuantType.F16));
        });
    json.writeEndObject();
    json.writeBooleanProperty("runs", findings.obstacles.isEmpty());
    json.writeArrayPropertyStart("obstacles");
    findings.obstacles.forEach(json::writeString);
    json.writeEndArray();
    findings.weights.ifPresent(report -> write(json, report));
    json.writeObjectPropertyStart("metadata");
    for (String key : file.metadata().keys()) {
      json.writeName(key);
      MetadataJson.write(json, file.metadata(), key);
    }
    json.writeEndObject();
    json.writeArrayPropertyStart("tensors");
    for (TensorInfo tensor : file.tensors()) {
      json.writeStartObject();
      json.writeStringProperty("name", tensor.name());
      json.writeStringProperty("type", tensor.type().toString());
      json.writeName("shape");
      json.writeArray(tensor.shape(), 0, tensor.shape().length);
      json.writeNumberProperty("bytes", tensor.bytes());
      json.writeEndObject();
    }
    json.writeEndArray();
  }

  private static void write(JsonGenerator json, Architecture a) {
    json.writeObjectPropertyStart("shape");
    json.writeNumberProperty("layers", a.layers());
    json.writeNumberProperty("dim", a.dim());
    json.writeNumberProperty("hidden", a.hidden());
    json.writeNumberProperty("heads", a.heads());
    json.writeNumberProperty("kv_heads", a.kvHeads());
    json.writeNumberProperty("head_dim", a.headDim());
    json.writeNumberProperty("vocabulary", a.vocabulary());
    json.writeNumberProperty("context", a.context());
    json.writeEndObject();
  }

  private static void write(JsonGenerator json, WeightCheck.Report report) {
    json.writeObjectPropertyStart("check");
    json.writeArrayPropertyStart("findings");
    for (WeightCheck.Finding finding : report.findings()) {
      json.writeStartObject();
      json.writeStringProperty("tensor", finding.tensor());
      json.writeNumberProperty("index", finding.index());
      json.writeStringProperty("value", finding.value());
      json.writeNumberProperty("count", finding.count());
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeArrayPropertyStart("unchecked");
    report.unchecked().forEach(tensor -> json.writeString(tensor.name()));
    json.writeEndArray();
    json.writeEndObject();
  }
}
