// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.Backends;
import dev.tokamak.backend.Roofline;
import dev.tokamak.cli.Console;
import dev.tokamak.cli.Json;
import dev.tokamak.cli.Quantity;
import dev.tokamak.cli.Visible;
import dev.tokamak.cli.report.Metrics;
import dev.tokamak.cli.report.TrainLog;
import dev.tokamak.cli.report.TrainPage;
import dev.tokamak.train.TrainConfig;
import dev.tokamak.train.TrainEvent;
import dev.tokamak.train.TrainEvent.Started;
import dev.tokamak.train.TrainEvent.Step;
import dev.tokamak.train.TrainEvent.Validated;
import dev.tokamak.train.TrainListener;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * What is seen of a training: a progress bar or lines on standard error, a line of JSON for each step
 * on standard output, the file of metrics, and the page.
 */
final class TrainDisplay implements TrainListener, AutoCloseable {
  /** Seconds of steps after which the machine's peak is worth the second that measuring it takes. */
  private static final double WORTH_MEASURING = 5;

  /** Weight of the past in the figures beside the bar. */
  private static final double KEEP = 0.9;

  private final Console console;
  private final boolean json;
  private final boolean quiet;
  private final TrainConfig config;
  private final String source;
  private final Backends.Options options;
  private final Path page;
  private final TrainLog log = new TrainLog();
  private final Metrics metrics;
  private final ProgressLine progress;
  private volatile Optional<Started> started = Optional.empty();
  private OptionalDouble peak = OptionalDouble.empty(); // operations per second
  private boolean measured;
  private double seconds;
  private double speed; // tokens per second
  private double loss;
  private volatile boolean stopping;

  /**
   * @param source the configuration as it stands in its file
   */
  TrainDisplay(
      Console console,
      boolean json,
      boolean quiet,
      TrainConfig config,
      String source,
      Backends.Options options) {
    this.console = console;
    this.json = json;
    this.quiet = quiet;
    this.config = config;
    this.source = source;
    this.options = options;
    Path folder = config.checkpoint().dir();
    page = folder.resolve("report.html");
    metrics = new Metrics(folder.resolve("metrics.jsonl"), log);
    progress = ProgressLine.withFigures(console, quiet, config.stage().word());
  }

  /** Asks the training to end behind the step that it is in, or before the first. */
  void stop() {
    stopping = true;
    say(
        started.isPresent()
            ? "stopping: this step is finished and a checkpoint written"
            : "stopping: nothing was trained yet");
  }

  @Override
  public boolean stops() {
    return stopping;
  }

  @Override
  public void accept(TrainEvent event) {
    metrics.accept(event);
    log.accept(event);
    switch (event) {
      case Started e -> start(e);
      case Step e -> step(e);
      case Validated e -> look(e);
      case TrainEvent.Sampled _ -> {}
      case TrainEvent.Saved e -> {
        TrainPage.write(page, log, fraction(), source);
        if (!console.live()) {
          say("step " + e.step() + ": saved " + e.checkpoint());
        }
      }
      case TrainEvent.Warned e -> warn(e.message());
      case TrainEvent.Finished e -> {
        TrainPage.write(page, log, fraction(), source);
        say(
            "wrote " + e.output() + " after " + TrainPage.duration(e.seconds()) + "; curves and"
                + " samples: " + page);
      }
    }
  }

  /** Tells the user something that matters even where progress does not. */
  void warn(String message) {
    progress.pause();
    console.err().println(Visible.line("warning: " + message));
  }

  private void say(String line) {
    if (!quiet) {
      progress.pause();
      console.err().println(Visible.line(line));
    }
  }

  private void start(Started e) {
    started = Optional.of(e);
    say(
        String.format(
            Locale.ROOT,
            "%s on %s; %s; %s of memory",
            e.stage(),
            e.backend(),
            TrainPage.parameters(e),
            Quantity.bytes(e.bytes())));
    if (e.resumedAt() > 0) {
      say("resumed behind step " + e.resumedAt() + " of " + e.steps());
    }
  }

  private void step(Step e) {
    seconds += e.seconds();
    boolean first = speed == 0;
    speed = first ? e.tokensPerSecond() : KEEP * speed + (1 - KEEP) * e.tokensPerSecond();
    loss = first ? e.loss() : KEEP * loss + (1 - KEEP) * e.loss();
    if (!measured && seconds > WORTH_MEASURING && !quiet) {
      measured = true;
      measure();
    }
    if (json) {
      Json.line(console.out(), out -> Metrics.step(out, e));
      console.out().show();
    }
    progress.at(e.step(), started.map(Started::steps).orElse(e.step()), figures());
  }

  private String figures() {
    var text = new StringBuilder();
    text.append(String.format(Locale.ROOT, "loss %.3f, %s", loss, Quantity.of(speed, "").strip() + " tokens/s"));
    fraction().ifPresent(f -> text.append(", ").append(Quantity.percent(f)).append(" of peak"));
    return text.toString();
  }

  private void look(Validated e) {
    var text = new StringBuilder("step " + e.step() + ": ");
    if (e.step() > 0) {
      text.append(figures()).append("; ");
    }
    text.append(String.format(Locale.ROOT, "held out %.4f", e.loss()));
    e.bitsPerByte()
        .ifPresent(bits -> text.append(String.format(Locale.ROOT, ", %.4f bits per byte", bits)));
    e.measures()
        .forEach(
            (name, value) ->
                text.append(
                    String.format(Locale.ROOT, ", %s %.4f", name.replace('_', ' '), value)));
    say(text.toString());
  }

  /** Asks a backend of the same kind, whose training stands still meanwhile, for its peak. */
  private void measure() {
    try (Backend backend = Backends.open(options).backend()) {
      Roofline.Arithmetic arithmetic =
          switch (config.arithmetic()) {
            case F32 -> Roofline.Arithmetic.FLOAT32;
            case BF16 -> Roofline.Arithmetic.BFLOAT16;
          };
      peak =
          backend
              .roofline()
              .map(roofline -> OptionalDouble.of(roofline.peak(arithmetic)))
              .orElse(OptionalDouble.empty());
    }
  }

  /** Of the machine's peak that products with weights reach. */
  private OptionalDouble fraction() {
    return peak.isPresent() && started.isPresent()
        ? OptionalDouble.of(started.get().flopsPerToken() * speed / peak.getAsDouble())
        : OptionalDouble.empty();
  }

  @Override
  public void close() {
    progress.close();
    metrics.close();
  }
}
