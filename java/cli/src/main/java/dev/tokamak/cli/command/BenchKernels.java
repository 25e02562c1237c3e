// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.Backends;
import dev.tokamak.cli.Console;
import dev.tokamak.cli.Failure;
import dev.tokamak.cli.Visible;
import dev.tokamak.cli.kernels.Baseline;
import dev.tokamak.cli.kernels.Kernel;
import dev.tokamak.cli.kernels.KernelBench;
import dev.tokamak.cli.kernels.Kernels;
import dev.tokamak.cli.kernels.Row;
import dev.tokamak.cli.kernels.Shapes;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** How fast each operation is on shapes of real models, beside what the machine could do. */
@Command(
    name = "kernels",
    description = {
      "Measures every operation on the shapes of real models, with each number of rows and each"
          + " type: first each result is compared with the reference's, on fresh random operands;"
          + " what is right is timed: medians of the repetitions; spread is largest less smallest,"
          + " by the median.",
      "Each run reads weights, or a layer of the cache, of its own, together more than the caches"
          + " hold. Activations are as in a model what was written just before, so that operations"
          + " without weights may be faster than the memory.",
      "The roofline's fraction is the time that the machine needs at best, for the bytes by its"
          + " measured read bandwidth or for the operations by its measured peak, whichever is"
          + " longer, by the time taken. bfloat16_x2 and bfloat16_x3 are float32 products made of"
          + " two or three bfloat16 ones: their peaks are a half and a third of bfloat16's.",
      "Of one shape, a type whose product or attention is more than a quarter slower than the best"
          + " of about its size is marked slow: F16 and BF16; Q8_0, Q6_K and Q5_K; Q4_0 and Q4_K."
          + " One row is judged by bytes per second, a piece of a prompt by operations per second.",
      "On cuda, where libcublas is installed, the column cuBLAS has its time for the same product"
          + " of F32, F16 or BF16 weights, by the time taken: above 1 is faster than cuBLAS.",
      "Without --filter, the kernels of Llama-3.2-1B, in some minutes; with --filter . those of all"
          + " models."
    })
public final class BenchKernels implements Runnable {
  /** More than the caches of small machines: the least that the runs of a program read. */
  private static final long LEAST_COLD_BYTES = 256 << 20;

  @Option(
      names = "--filter",
      paramLabel = "REGEX",
      converter = Regex.class,
      description =
          "Kernels whose name has a part like this; names look like matmul/q4_0/1x2048x8192:"
              + " operation, type, rows x columns x rows of the matrix.")
  private Pattern filter;

  @Option(
      names = "--shapes",
      paramLabel = "FILE",
      description =
          "Shapes of other models. Each line is one of: rows N..., types TYPE..., caches TYPE...,"
              + " contexts N..., model NAME hidden=N ffn=N heads=N kv_heads=N head_dim=N vocab=N"
              + " rope=interleaved|half_split head_norm=yes|no; # begins a remark.")
  private Path shapes;

  @Option(
      names = "--baseline",
      paramLabel = "FILE",
      description = "What an earlier run wrote with --json, to compare with: above 1 is faster now.")
  private Path baseline;

  @Option(
      names = "--plot",
      paramLabel = "FILE",
      description =
          "Draws the roofline's fractions of what has weights or a cache: on a page, or, if the name"
              + " ends with .svg, as a picture.")
  private Path plot;

  @Option(
      names = "-r",
      paramLabel = "N",
      defaultValue = "5",
      converter = Whole.class,
      description =
          "Repetitions; by default ${DEFAULT-VALUE}. Of what takes long fewer are made, down to 3.")
  private int repetitions;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Of the random operands; by default another one each time.")
  private Long seed;

  @Mixin private BackendOptions backend;
  @Mixin private OutputOptions output;

  private final Console console;
  private final Function<Backends.Options, Backends.Choice> open;

  public BenchKernels(Console console) {
    this(console, Backends::open);
  }

  /**
   * For tests.
   *
   * @param open gives the backend that is measured
   */
  BenchKernels(Console console, Function<Backends.Options, Backends.Choice> open) {
    this.console = console;
    this.open = open;
  }

  @Override
  public void run() {
    Shapes known =
        shapes == null
            ? Shapes.ofKnownModels()
            : Shapes.parse(shapes.toString(), TextSource.file(shapes));
    Optional<Baseline> before =
        Optional.ofNullable(baseline)
            .map(file -> Baseline.parse(file.toString(), TextSource.file(file)));
    List<Kernel> kernels = select(known);
    Backends.Choice choice = open.apply(backend.options());
    try (Backend measured = choice.backend()) {
      KernelReport report = measure(measured, choice.reason(), kernels, before);
      if (output.json) {
        report.writeJson(console);
      } else {
        report.print(console);
      }
      if (plot != null) {
        report.draw(plot);
        if (!output.quiet) {
          console.err().println("plot: " + plot);
        }
      }
      report.failure().ifPresent(line -> {
        throw new Failure(line);
      });
    }
  }

  private List<Kernel> select(Shapes known) {
    if (filter == null) {
      return Kernels.ofFirst(known);
    }
    List<Kernel> kernels =
        Kernels.of(known).stream().filter(kernel -> matches(kernel.name())).toList();
    if (kernels.isEmpty()) {
      throw new Failure(
          "--filter '" + filter + "': no kernel has such a name; they look like "
              + Kernels.ofFirst(known).getFirst().name());
    }
    return kernels;
  }

  private boolean matches(String name) {
    return filter == null || filter.matcher(name).find();
  }

  private KernelReport measure(
      Backend measured, String reason, List<Kernel> kernels, Optional<Baseline> before) {
    long chosen = seed == null ? System.nanoTime() & 0xffffff : seed;
    if (!output.quiet) {
      console.err().println(
          Visible.line(
              "backend " + measured.name() + " (" + reason + "): " + measured.description() + "; " + kernels.size() + " kernels; seed "
                  + chosen));
    }
    Processor processor = Processor.ofMachine();
    var bench =
        new KernelBench(
            measured,
            processor.free() / 4 * 3,
            Math.max(LEAST_COLD_BYTES, 2 * processor.cache()),
            repetitions,
            chosen);
    List<Row> rows;
    try (var progress = ProgressLine.pieces(console, output.quiet, "bench", "kernels")) {
      rows = bench.run(kernels, done -> progress.at(done, kernels.size()));
    }
    var compared =
        before.map(
            old ->
                new KernelReport.Comparison(
                    baseline.toString(),
                    old,
                    old.missing(kernels, measured.name()).stream()
                        .filter(this::matches)
                        .toList()));
    return new KernelReport(
        measured, processor, rows, bench.roofline(), compared, repetitions, chosen);
  }

  private static final class Regex implements ITypeConverter<Pattern> {
    @Override
    public Pattern convert(String value) {
      try {
        return Pattern.compile(value);
      } catch (PatternSyntaxException e) {
        throw new TypeConversionException(
            "expected a regular expression, found '" + value + "': " + e.getDescription());
      }
    }
  }
}
