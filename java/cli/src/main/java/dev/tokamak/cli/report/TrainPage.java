// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.report;

import dev.tokamak.cli.Quantity;
import dev.tokamak.cli.report.ChartPage.Chart;
import dev.tokamak.cli.report.ChartPage.Line;
import dev.tokamak.cli.report.ChartPage.Look;
import dev.tokamak.cli.report.ChartPage.Versions;
import dev.tokamak.train.TrainEvent;
import dev.tokamak.train.TrainEvent.Sampled;
import dev.tokamak.train.TrainEvent.Step;
import dev.tokamak.train.TrainEvent.Validated;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.TreeSet;
import java.util.function.ToDoubleFunction;

/** The page of a training: its curves, its samples as they change, its configuration. */
public final class TrainPage {
  private static final int MOST_POINTS = 1500;
  private static final int FEW_STEPS = 20;
  private static final double SMOOTHING = 0.02; // of all steps

  private TrainPage() {}

  /**
   * Writes the page, in place of an older one.
   *
   * @param fraction of the machine's peak, if it is known
   * @param config its source
   */
  public static void write(Path file, TrainLog log, OptionalDouble fraction, String config) {
    try {
      Path next = file.resolveSibling(file.getFileName() + ".unfinished");
      Files.writeString(next, html(log, fraction, config));
      Files.move(
          next, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static String html(TrainLog log, OptionalDouble fraction, String config) {
    List<Step> steps = log.steps();
    long total = log.started().map(TrainEvent.Started::steps).orElse(0L);
    String stage = log.started().map(TrainEvent.Started::stage).orElse("training");
    long done = steps.isEmpty() ? 0 : steps.getLast().step();
    var page =
        new ChartPage(
            stage + ": step " + done + " of " + total,
            log.started().map(s -> parameters(s) + "; " + s.backend()).orElse(""));
    page.figures(figures(log, fraction));
    page.charts(charts(log));
    Map<String, List<Sampled>> samples = new LinkedHashMap<>();
    log.samples()
        .forEach(s -> samples.computeIfAbsent(s.prompt(), _ -> new ArrayList<>()).add(s));
    if (!samples.isEmpty()) {
      page.heading("Samples");
    }
    samples.forEach(
        (prompt, texts) ->
            page.versions(
                new Versions(
                    prompt,
                    texts.stream().map(s -> "step " + s.step()).toList(),
                    texts.stream().map(Sampled::text).toList())));
    return page.heading("Configuration").source(config.strip()).html();
  }

  /** How large the model is, and what of it is trained. */
  public static String parameters(TrainEvent.Started started) {
    String all = Quantity.of(started.parameters(), "").strip() + " parameters";
    return started.trainable() == started.parameters()
        ? all
        : all + ", " + Quantity.of(started.trainable(), "").strip() + " of them trained";
  }

  private static Map<String, String> figures(TrainLog log, OptionalDouble fraction) {
    Map<String, String> figures = new LinkedHashMap<>();
    if (!log.steps().isEmpty()) {
      Step last = log.steps().getLast();
      figures.put("loss", String.format(Locale.ROOT, "%.4f", last.loss()));
    }
    if (!log.looks().isEmpty()) {
      Validated last = log.looks().getLast();
      figures.put("held-out loss", String.format(Locale.ROOT, "%.4f", last.loss()));
      last.bitsPerByte()
          .ifPresent(
              bits ->
                  figures.put("bits per byte", String.format(Locale.ROOT, "%.4f", bits)));
    }
    long tokens = log.steps().stream().mapToLong(Step::tokens).sum();
    double seconds = log.steps().stream().mapToDouble(Step::seconds).sum();
    if (seconds > 0) {
      figures.put("tokens", Quantity.of(tokens, ""));
      figures.put("tokens per second", Quantity.of(tokens / seconds, ""));
      fraction.ifPresent(f -> figures.put("of the peak", Quantity.percent(f)));
      figures.put("time in steps", duration(seconds));
    }
    return figures;
  }

  /** For example {@code 1 h 02 min}. */
  public static String duration(double seconds) {
    long whole = Math.round(seconds);
    return whole < 60
        ? whole + " s"
        : whole < 3600
            ? String.format("%d min %02d s", whole / 60, whole % 60)
            : String.format("%d h %02d min", whole / 3600, whole / 60 % 60);
  }

  private static List<Chart> charts(TrainLog log) {
    List<Step> steps = log.steps();
    var charts = new ArrayList<Chart>();
    List<Line> losses = noisy("loss", steps, Step::loss);
    if (!log.looks().isEmpty()) {
      losses.add(looks("held out", log.looks(), Validated::loss));
    }
    charts.add(new Chart("Loss", "step", false, losses));
    List<Validated> measured =
        log.looks().stream().filter(look -> look.bitsPerByte().isPresent()).toList();
    if (!measured.isEmpty()) {
      charts.add(
          new Chart(
              "Bits per byte, held out",
              "step",
              false,
              List.of(looks("bits per byte", measured, l -> l.bitsPerByte().getAsDouble()))));
    }
    var names = new TreeSet<String>();
    steps.forEach(step -> names.addAll(step.measures().keySet()));
    for (String name : names) {
      String title = name.replace('_', ' ');
      charts.add(
          new Chart(
              title.substring(0, 1).toUpperCase(Locale.ROOT) + title.substring(1),
              "step",
              false,
              measure(title, name, log)));
    }
    charts.add(
        new Chart(
            "Learning rate",
            "step",
            false,
            List.of(line("learning rate", steps, Step::learningRate, Look.LINE))));
    charts.add(
        new Chart(
            "Norm of the gradients",
            "step",
            steps.stream().allMatch(step -> step.gradientNorm() > 0),
            noisy("before clipping", steps, Step::gradientNorm)));
    charts.add(
        new Chart(
            "Tokens per second",
            "step",
            false,
            noisy("tokens per second", steps, Step::tokensPerSecond)));
    return charts;
  }

  private static List<Line> measure(String title, String name, TrainLog log) {
    List<Line> lines =
        noisy(title, log.steps(), s -> s.measures().getOrDefault(name, Double.NaN));
    if (log.looks().stream().anyMatch(look -> look.measures().containsKey(name))) {
      lines.add(
          looks(
              "held out", log.looks(), l -> l.measures().getOrDefault(name, Double.NaN)));
    }
    return lines;
  }

  private static Line looks(
      String name, List<Validated> looks, ToDoubleFunction<Validated> value) {
    return new Line(
        name,
        looks.stream().mapToDouble(Validated::step).toArray(),
        looks.stream().mapToDouble(value).toArray(),
        Look.DOTS);
  }

  /** A value of each step, or the means of neighbours where there are too many to be seen. */
  private static Line line(
      String name, List<Step> steps, ToDoubleFunction<Step> value, Look look) {
    return thinned(
        name,
        steps.stream().mapToDouble(Step::step).toArray(),
        steps.stream().mapToDouble(value).toArray(),
        look);
  }

  private static Line thinned(String name, double[] x, double[] y, Look look) {
    int together = (x.length + MOST_POINTS - 1) / MOST_POINTS;
    if (together <= 1) {
      return new Line(name, x, y, look);
    }
    int points = (x.length + together - 1) / together;
    double[] fewX = new double[points];
    double[] fewY = new double[points];
    for (int i = 0; i < points; i++) {
      int from = i * together;
      int to = Math.min(x.length, from + together);
      for (int j = from; j < to; j++) {
        fewY[i] += y[j] / (to - from);
      }
      fewX[i] = x[to - 1];
    }
    return new Line(name, fewX, fewY, look);
  }

  /** A value of each step, and, of many steps, a smooth line of it. */
  private static List<Line> noisy(
      String name, List<Step> steps, ToDoubleFunction<Step> value) {
    var lines = new ArrayList<Line>();
    if (steps.size() <= FEW_STEPS) {
      lines.add(line(name, steps, value, Look.LINE));
    } else {
      lines.add(line("each step", steps, value, Look.FAINT));
      lines.add(smooth(name, steps, value));
    }
    return lines;
  }

  /** The mean of a step and its neighbours on both sides. */
  private static Line smooth(String name, List<Step> steps, ToDoubleFunction<Step> value) {
    int half = Math.max(2, (int) (SMOOTHING * steps.size() / 2));
    double[] sums = new double[steps.size() + 1];
    for (int i = 0; i < steps.size(); i++) {
      sums[i + 1] = sums[i] + value.applyAsDouble(steps.get(i));
    }
    double[] y = new double[steps.size()];
    for (int i = 0; i < y.length; i++) {
      int from = Math.max(0, i - half);
      int to = Math.min(y.length, i + half + 1);
      y[i] = (sums[to] - sums[from]) / (to - from);
    }
    return thinned(
        name, steps.stream().mapToDouble(Step::step).toArray(), y, Look.LINE);
  }
}
