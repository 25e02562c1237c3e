// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.CacheShape;
import dev.tokamak.backend.Roofline;
import dev.tokamak.backend.Roofline.Arithmetic;
import dev.tokamak.backend.cpu.CpuBackend;
import dev.tokamak.backend.cuda.CudaBackend;
import dev.tokamak.cli.Console;
import dev.tokamak.cli.Failure;
import dev.tokamak.cli.Json;
import dev.tokamak.cli.Quantity;
import dev.tokamak.generate.Capacity;
import dev.tokamak.model.Inference;
import dev.tokamak.model.Model;
import dev.tokamak.model.format.gguf.GgufType;
import dev.tokamak.model.format.gguf.TensorInfo;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.core.JsonGenerator;

/** How fast a model is here, beside what the machine could do. */
@Command(
    name = "bench",
    description = {
      "Measures prefill and decode with random tokens, and the machine's roofline: medians of the"
          + " repetitions; spread is largest less smallest, by the median.",
      "The roofline's fraction, by what was measured beside each repetition, is, for decode, the"
          + " bytes of weights that a step reads, and those of the cache of -d, by the measured read"
          + " bandwidth; for prefill the operations of all matrices but the output head, by the"
          + " measured peak of the arithmetic that the weights' type takes."
    })
public final class Bench implements Runnable {
  @Option(
      names = "-p",
      paramLabel = "N",
      defaultValue = "512",
      converter = Whole.class,
      description = "Tokens of prompt to prefill; by default ${DEFAULT-VALUE}.")
  private int prompt;

  @Option(
      names = "-n",
      paramLabel = "N",
      defaultValue = "128",
      converter = Whole.class,
      description = "Tokens to decode after each other; by default ${DEFAULT-VALUE}.")
  private int decode;

  @Option(
      names = "-b",
      paramLabel = "N",
      defaultValue = "1",
      converter = Whole.class,
      description = "Sequences that decode together; by default ${DEFAULT-VALUE}.")
  private int batch;

  @Option(
      names = {"-d", "--depth"},
      paramLabel = "N",
      defaultValue = "0",
      converter = Whole.OrZero.class,
      description = "Tokens that each sequence holds before its prompt, and before its first decoded"
          + " token; by default ${DEFAULT-VALUE}.")
  private int depth;

  @Option(
      names = "-r",
      paramLabel = "N",
      defaultValue = "5",
      converter = Whole.class,
      description = "Repetitions; by default ${DEFAULT-VALUE}.")
  private int repetitions;

  @Mixin private ModelArguments arguments;

  private final Console console;

  public Bench(Console console) {
    this.console = console;
  }

  /**
   * Tokens per second.
   *
   * @param fraction of the roofline
   */
  private record Speed(double median, double spread, OptionalDouble fraction) {}

  private record Result(
      Model model,
      GgufType type,
      Optional<Roofline> roofline,
      Speed prefill,
      Speed decode,
      OptionalLong peakBytes) {}

  @Override
  public void run() {
    try (Model model = arguments.open(console)) {
      long context = (long) depth + Math.max(prompt, decode);
      Capacity capacity =
          arguments.capacity(model, (int) Math.min(context, Integer.MAX_VALUE));
      if (capacity.context() < context) {
        throw new Failure(
            "context " + capacity.context() + " is too small for " + context + " tokens: -d " + depth
                + " and the larger of -p " + prompt + " and -n " + decode
                + "; give smaller ones, or --ctx");
      }
      arguments.announce(console, model, capacity);
      Result result = measure(model, capacity);
      if (arguments.output.json) {
        Json.line(console.out(), json -> write(json, result));
      } else {
        print(result);
      }
    }
  }

  /** The machine's speed drifts: each repetition has a roofline of its own, measured beside it. */
  private Result measure(Model model, Capacity capacity) {
    double[] prefills = new double[repetitions];
    double[] decodes = new double[repetitions];
    List<Roofline> rooflines = new ArrayList<>();
    OptionalLong peak = OptionalLong.empty();
    Backend backend = model.backend().backend();
    int rows = Math.max(batch, Math.min(capacity.chunk(), Math.max(prompt, depth)));
    var shape =
        new Inference.Shape(capacity.context(), rows, batch, batch, capacity.cacheType());
    try (Inference inference = model.prepare(shape);
        var progress = ProgressLine.pieces(console, arguments.output.quiet, "bench", "runs")) {
      var work =
          new TimedSteps(
              inference, model.architecture().vocabulary(), batch, depth, arguments.seed);
      work.prefill(prompt); // warms up
      work.decode(Math.min(decode, 8));
      for (int i = 0; i < repetitions; i++) {
        prefills[i] = prompt / work.prefill(prompt);
        decodes[i] = (double) batch * decode / work.decode(decode);
        if (i == 0) {
          peak = peakBytes(); // before the roofline's own buffers; later repetitions add nothing
        }
        backend.roofline().ifPresent(rooflines::add);
        progress.at(i + 1, repetitions);
      }
    }
    GgufType type = type(model);
    Arithmetic arithmetic =
        type.quantType().map(backend::arithmetic).orElse(Arithmetic.FLOAT32);
    Speed prefill =
        speed(
            prefills,
            rooflines.stream().map(r -> r.peak(arithmetic) / model.operationsPerToken()));
    double stepBytes =
        model.bytesPerToken() + (double) batch * depth * cacheBytesPerToken(model, capacity);
    Speed decode =
        speed(decodes, rooflines.stream().map(r -> r.bytesPerSecond() / stepBytes * batch));
    return new Result(model, type, Roofline.median(rooflines), prefill, decode, peak);
  }

  private static long cacheBytesPerToken(Model model, Capacity capacity) {
    var architecture = model.architecture();
    return new CacheShape(
            capacity.cacheType(),
            architecture.layers(),
            architecture.kvHeads(),
            architecture.headDim())
        .bytesPerToken();
  }

  /**
   * @param limits tokens per second at the roofline, beside each repetition
   */
  private static Speed speed(double[] perSecond, Stream<Double> limits) {
    double[] fractions = limits.mapToDouble(limit -> 1 / limit).toArray();
    for (int i = 0; i < fractions.length; i++) {
      fractions[i] *= perSecond[i];
    }
    double[] sorted = perSecond.clone();
    Arrays.sort(sorted);
    double median = median(perSecond);
    return new Speed(
        median,
        (sorted[sorted.length - 1] - sorted[0]) / median,
        fractions.length > 0 ? OptionalDouble.of(median(fractions)) : OptionalDouble.empty());
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    int n = sorted.length;
    return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
  }

  /** The type of most weights. */
  private static GgufType type(Model model) {
    Map<GgufType, Long> elements = new EnumMap<>(GgufType.class);
    for (TensorInfo tensor : model.file().gguf().tensors()) {
      elements.merge(tensor.type(), tensor.elements(), Long::sum);
    }
    return elements.entrySet().stream().max(Map.Entry.comparingByValue(Comparator.naturalOrder()))
        .orElseThrow()
        .getKey();
  }

  /** The largest resident memory of this process so far, as Linux tells it. */
  private static OptionalLong peakBytes() {
    try {
      return Files.readAllLines(Path.of("/proc/self/status")).stream()
          .filter(line -> line.startsWith("VmHWM:"))
          .mapToLong(line -> 1024 * Long.parseLong(line.replaceAll("\\D", "")))
          .findFirst();
    } catch (IOException _) {
      return OptionalLong.empty();
    }
  }

  private void print(Result result) {
    Model model = result.model;
    row("model", arguments.name() + ", " + result.type + ", " + Quantity.bytes(
        model.file().gguf().bytes()) + ", " + Quantity.of(model.parameters(), "") + " parameters");
    row("backend", model.backend().backend().name() + ": "
        + model.backend().backend().description());
    result.roofline.ifPresent(
        r -> row("roofline", Quantity.of(r.bytesPerSecond(), "B/s") + " read, "
            + Quantity.of(r.floatOps(), "OP/s") + " float32"
            + (r.int8Ops() > 0 ? ", " + Quantity.of(r.int8Ops(), "OP/s") + " int8" : "")
            + (r.bf16Ops() > 0 ? ", " + Quantity.of(r.bf16Ops(), "OP/s") + " bfloat16" : "")));
    row("load", Quantity.significant(model.loadSeconds()) + " s");
    String behind = depth > 0 ? ", -d " + depth : "";
    row("prefill", text(result.prefill) + " (-p " + prompt + behind + ")");
    row("decode", text(result.decode) + " (-n " + decode + ", -b " + batch + behind + ")");
    result.peakBytes.ifPresent(peak -> row("memory", Quantity.bytes(peak) + " resident at most"));
  }

  private void row(String title, String text) {
    console.out().printf("%-10s%s%n", title, text);
  }

  private static String text(Speed speed) {
    return Quantity.significant(speed.median) + " tok/s, spread " + Quantity.percent(speed.spread)
        + (speed.fraction.isPresent()
            ? ", " + Quantity.percent(speed.fraction.getAsDouble()) + " of the roofline"
            : "");
  }

  private void write(JsonGenerator json, Result result) {
    Backend backend = result.model.backend().backend();
    boolean gpu = backend instanceof CudaBackend;
    json.writeObjectPropertyStart(gpu ? "gpu" : "cpu");
    json.writeStringProperty(
        "name", gpu ? backend.description() : Processor.ofMachine().name());
    json.writeStringProperty("backend", backend.name());
    json.writeStringProperty("variant", backend.variant());
    if (backend instanceof CpuBackend cpu) {
      json.writeStringProperty("level", cpu.level());
      json.writeNumberProperty("threads", cpu.threads());
    }
    result.roofline.ifPresent(r -> Devices.writeRoofline(json, r));
    json.writeEndObject();
    json.writeObjectPropertyStart("model");
    json.writeNumberProperty("bytes", result.model.file().gguf().bytes());
    json.writeNumberProperty("parameters", result.model.parameters());
    json.writeStringProperty("type", result.type.toString());
    json.writeEndObject();
    json.writeNumberProperty("load_s", result.model.loadSeconds());
    write(json, "prefill", result.prefill);
    write(json, "decode", result.decode);
    result.peakBytes.ifPresent(peak -> json.writeNumberProperty("peak_rss_bytes", peak));
    json.writeNumberProperty("p", prompt);
    json.writeNumberProperty("n", decode);
    json.writeNumberProperty("b", batch);
    json.writeNumberProperty("d", depth);
    json.writeNumberProperty("r", repetitions);
  }

  private static void write(JsonGenerator json, String name, Speed speed) {
    json.writeObjectPropertyStart(name);
    json.writeNumberProperty("tok_s", speed.median);
    json.writeNumberProperty("spread", speed.spread);
    Json.number(json, "roofline_fraction", speed.fraction.orElse(Double.NaN));
    json.writeEndObject();
  }
}
