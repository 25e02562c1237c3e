// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.Backends;
import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.backend.Roofline;
import dev.tokamak.backend.train.Parameter;
import dev.tokamak.backend.train.TrainingBatch;
import dev.tokamak.backend.train.TrainingReplay;
import dev.tokamak.backend.train.TrainingShape;
import dev.tokamak.backend.train.Update;
import dev.tokamak.cli.Console;
import dev.tokamak.cli.Failure;
import dev.tokamak.cli.Json;
import dev.tokamak.cli.Quantity;
import dev.tokamak.model.Architecture;
import dev.tokamak.model.TrainingModel;
import dev.tokamak.model.WeightArray;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.core.JsonGenerator;

/** How fast a model of given sizes trains, beside what the machine could do. */
@Command(
    name = "train",
    description = {
      "Measures training steps of a new llama model with tied embeddings on random tokens: forward"
          + " and backward pass, clipping, and an update. Speeds are medians of the steps after"
          + " three that warm up.",
      "FLOP/s are 6 per parameter and token: what the products of a step need, without attention's"
          + " among the tokens. The peak is what this machine reaches in multiplications of the"
          + " type, measured before, amid and after the steps."
    })
public final class BenchTrain implements Runnable {
  private static final int WARM_UP = 3;
  private static final long SEED = 7;

  /** What factors of products are rounded to. */
  enum Type {
    f32(TrainingShape.Arithmetic.F32, Roofline.Arithmetic.FLOAT32),
    bf16(TrainingShape.Arithmetic.BF16, Roofline.Arithmetic.BFLOAT16);

    final TrainingShape.Arithmetic arithmetic;
    final Roofline.Arithmetic peak;

    Type(TrainingShape.Arithmetic arithmetic, Roofline.Arithmetic peak) {
      this.arithmetic = arithmetic;
      this.peak = peak;
    }
  }

  /** Which optimiser updates. */
  enum Optimizer {
    adamw(Update.Optimizer.ADAMW),
    muon(Update.Optimizer.MUON);

    final Update.Optimizer rule;

    Optimizer(Update.Optimizer rule) {
      this.rule = rule;
    }
  }

  @Option(
      names = "--layers",
      paramLabel = "N",
      defaultValue = "8",
      converter = Whole.class,
      description = "Transformer blocks; by default ${DEFAULT-VALUE}.")
  private int layers;

  @Option(
      names = "--dim",
      paramLabel = "N",
      defaultValue = "256",
      converter = Whole.class,
      description = "Width of the model; by default ${DEFAULT-VALUE}.")
  private int dim;

  @Option(
      names = "--heads",
      paramLabel = "N",
      defaultValue = "8",
      converter = Whole.class,
      description = "Query heads; by default ${DEFAULT-VALUE}.")
  private int heads;

  @Option(
      names = "--kv-heads",
      paramLabel = "N",
      defaultValue = "4",
      converter = Whole.class,
      description = "Key and value heads; by default ${DEFAULT-VALUE}.")
  private int kvHeads;

  @Option(
      names = "--hidden",
      paramLabel = "N",
      defaultValue = "704",
      converter = Whole.class,
      description = "Width of the feed-forward network; by default ${DEFAULT-VALUE}.")
  private int hidden;

  @Option(
      names = "--vocab",
      paramLabel = "N",
      defaultValue = "4096",
      converter = Whole.class,
      description = "Tokens of the vocabulary; by default ${DEFAULT-VALUE}.")
  private int vocabulary;

  @Option(
      names = "--sequences",
      paramLabel = "N",
      defaultValue = "8",
      converter = Whole.class,
      description = "Sequences of a step; by default ${DEFAULT-VALUE}.")
  private int sequences;

  @Option(
      names = "--tokens",
      paramLabel = "N",
      defaultValue = "256",
      converter = Whole.class,
      description = "Tokens of a sequence; by default ${DEFAULT-VALUE}.")
  private int tokens;

  @Option(
      names = "--steps",
      paramLabel = "N",
      defaultValue = "20",
      converter = Whole.class,
      description = "Steps that are timed; by default ${DEFAULT-VALUE}.")
  private int steps;

  @Option(
      names = "--type",
      paramLabel = "f32|bf16",
      defaultValue = "f32",
      description = "What factors of products are rounded to; by default ${DEFAULT-VALUE}.")
  private Type type;

  @Option(
      names = "--optimizer",
      paramLabel = "adamw|muon",
      defaultValue = "adamw",
      description = "What updates; by default ${DEFAULT-VALUE}.")
  private Optimizer optimizer;

  @Option(
      names = "--recompute",
      description = "Makes activations again in the backward pass instead of keeping them.")
  private boolean recompute;

  @Mixin private BackendOptions backend;
  @Mixin private OutputOptions output;

  private final Console console;

  public BenchTrain(Console console) {
    this.console = console;
  }

  /**
   * @param bytes of weights, gradients, moments and activations
   * @param seconds of each step
   * @param loss of the last step
   */
  private record Result(
      String on,
      String variant,
      long parameters,
      long bytes,
      double[] seconds,
      double loss,
      Optional<Roofline> roofline) {
    double median() {
      double[] sorted = seconds.clone();
      Arrays.sort(sorted);
      int n = sorted.length;
      return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
    }
  }

  @Override
  public void run() {
    Architecture architecture = architecture();
    try (Backend opened = Backends.open(backend.options()).backend()) {
      Result result = measure(opened, TrainingModel.create(architecture));
      if (output.json) {
        Json.line(console.out(), json -> write(json, result));
      } else {
        print(result);
      }
    }
  }

  private Architecture architecture() {
    if (dim % heads != 0 || dim / heads % 2 != 0) {
      throw new Failure(
          "--heads " + heads + ": --dim " + dim + " must be an even number for each head");
    }
    if (heads % kvHeads != 0) {
      throw new Failure("--kv-heads " + kvHeads + ": must divide --heads " + heads);
    }
    if ((long) sequences * tokens > 1 << 20) {
      throw new Failure(
          "--sequences " + sequences + " of --tokens " + tokens + ": must be "
              + (1 << 20) + " tokens or fewer");
    }
    int headDim = dim / heads;
    return new Architecture(
        "llama",
        vocabulary,
        tokens,
        layers,
        dim,
        heads,
        kvHeads,
        headDim,
        hidden,
        1e-5f,
        new Architecture.Rotary(Pairing.INTERLEAVED, headDim, 10000, 1, false),
        false,
        false,
        false,
        false,
        true);
  }

  private Result measure(Backend opened, TrainingModel model) {
    int rows = sequences * tokens;
    List<Roofline> rooflines = new ArrayList<>();
    double[] seconds = new double[steps];
    double loss = 0;
    var shape = new TrainingShape(rows, rows, type.arithmetic);
    try (TrainingReplay replay = opened.prepare(model.program(tokens, recompute), shape);
        var progress = ProgressLine.pieces(console, output.quiet, "bench", "steps")) {
      model.initialise(SEED, WeightArray.of(replay));
      var random = new SplittableRandom(SEED);
      opened.roofline().ifPresent(rooflines::add);
      for (int step = 0; step < WARM_UP + steps; step++) {
        fill(replay.batch(), random);
        long start = System.nanoTime();
        loss = step(replay, step + 1);
        double taken = (System.nanoTime() - start) * 1e-9;
        if (step >= WARM_UP) {
          seconds[step - WARM_UP] = taken;
          progress.at(step - WARM_UP + 1, steps);
        }
        if (step == WARM_UP + steps / 2) {
          opened.roofline().ifPresent(rooflines::add);
        }
      }
      opened.roofline().ifPresent(rooflines::add);
      return new Result(
          opened.name() + " (" + opened.description() + ")",
          opened.variant(),
          model.parameters().list().stream().mapToLong(Parameter::size).sum(),
          replay.bytes(),
          seconds,
          loss,
          Roofline.median(rooflines));
    }
  }

  private void fill(TrainingBatch batch, SplittableRandom random) {
    batch.clear();
    for (int sequence = 0; sequence < sequences; sequence++) {
      batch.beginSequence();
      int token = random.nextInt(vocabulary);
      for (int i = 0; i < tokens; i++) {
        batch.add(token);
        token = random.nextInt(vocabulary);
        batch.target(token);
      }
    }
  }

  /** One step of cross-entropy; its loss. */
  private double step(TrainingReplay replay, int number) {
    TrainingBatch batch = replay.batch();
    replay.forward();
    double loss = 0;
    for (int o = 0; o < batch.outputs(); o++) {
      loss -= batch.logProbability(o) / (double) batch.outputs();
      batch.coefficient(o, -1.0 / batch.outputs());
    }
    replay.backward();
    replay.update(new Update(optimizer.rule, number, 1e-3, 0.01, 1, 0.9, 0.999, 1e-8));
    return loss;
  }

  private double tokensPerSecond(Result result) {
    return (double) sequences * tokens / result.median();
  }

  private double operationsPerSecond(Result result) {
    return 6.0 * result.parameters * tokensPerSecond(result);
  }

  private double fraction(Result result) {
    return result.roofline
        .map(roofline -> operationsPerSecond(result) / roofline.peak(type.peak))
        .orElse(Double.NaN);
  }

  private void print(Result result) {
    var text = new StringBuilder();
    text.append("backend     ").append(result.on).append('\n');
    text.append("parameters  ").append(result.parameters).append('\n');
    text.append("memory      ").append(Quantity.bytes(result.bytes)).append('\n');
    text.append("step        ")
        .append(Quantity.significant(1000 * result.median()))
        .append(" ms\n");
    text.append("speed       ")
        .append(Quantity.significant(tokensPerSecond(result)))
        .append(" tokens/s, ")
        .append(Quantity.of(operationsPerSecond(result), "FLOP/s"));
    result.roofline.ifPresent(
        roofline ->
            text.append(", ")
                .append(Quantity.percent(fraction(result)))
                .append(" of the peak, ")
                .append(Quantity.of(roofline.peak(type.peak), "FLOP/s")));
    text.append('\n');
    console.out().print(text.toString());
  }

  private void write(JsonGenerator json, Result result) {
    json.writeStringProperty("backend", result.variant);
    json.writeStringProperty("type", type.name());
    json.writeStringProperty("optimizer", optimizer.name());
    json.writeNumberProperty("parameters", result.parameters);
    json.writeNumberProperty("tokens_per_step", (long) sequences * tokens);
    json.writeNumberProperty("bytes", result.bytes);
    Json.number(json, "step_s", result.median());
    Json.number(json, "tokens_per_s", tokensPerSecond(result));
    Json.number(json, "flop_s", operationsPerSecond(result));
    Json.number(json, "fraction_of_peak", fraction(result));
    result.roofline.ifPresent(
        roofline -> {
          json.writeObjectPropertyStart("roofline");
          Devices.writeRoofline(json, roofline);
          json.writeEndObject();
        });
    Json.number(json, "last_loss", result.loss);
    json.writeName("steps_s");
    json.writeArray(result.seconds, 0, result.seconds.length);
  }
}
