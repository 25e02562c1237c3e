// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Console;
import java.time.Duration;
import java.util.Optional;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/**
 * A progress bar on standard error, where that is a terminal, for work that is not done within a
 * moment.
 */
final class ProgressLine implements AutoCloseable {
  private static final Duration MOMENT = Duration.ofMillis(500);
  private static final int WIDTH = 80;
  private static final int WIDTH_WITH_FIGURES = 120;

  private final Console console;
  private final boolean shown;
  private final String task;
  private final String unit;
  private final long unitSize;
  private final int width;
  private final long start = System.nanoTime();
  private Optional<ProgressBar> bar = Optional.empty();

  private ProgressLine(
      Console console, boolean quiet, String task, String unit, long unitSize, int width) {
    this.console = console;
    this.shown = console.live() && !quiet;
    this.task = task;
    this.unit = unit;
    this.unitSize = unitSize;
    this.width = width;
  }

  /** Progress told in bytes. */
  static ProgressLine bytes(Console console, boolean quiet, String task) {
    return new ProgressLine(console, quiet, task, " MB", 1_000_000, WIDTH);
  }

  /** Progress told in pieces of work. */
  static ProgressLine pieces(Console console, boolean quiet, String task, String unit) {
    return new ProgressLine(console, quiet, task, " " + unit, 1, WIDTH);
  }

  /** Progress told in pieces of work, with figures behind the bar. */
  static ProgressLine withFigures(Console console, boolean quiet, String task) {
    return new ProgressLine(console, quiet, task, "", 1, WIDTH_WITH_FIGURES);
  }

  /** Takes the bar away until there is more, so that lines can be written. */
  void pause() {
    bar.ifPresent(ProgressBar::close);
    bar = Optional.empty();
  }

  /** So much of all is done. */
  void at(long done, long total) {
    at(done, total, "");
  }

  /**
   * So much of all is done.
   *
   * @param figures what is told behind the bar
   */
  void at(long done, long total, String figures) {
    if (!shown || bar.isEmpty() && System.nanoTime() - start < MOMENT.toNanos()) {
      return;
    }
    if (bar.isEmpty()) {
      bar =
          Optional.of(
              new ProgressBarBuilder()
                  .setTaskName(task)
                  .setInitialMax(total)
                  .setUnit(unit, unitSize)
                  .setStyle(ProgressBarStyle.ASCII)
                  .setUpdateIntervalMillis(100)
                  .setConsumer(new ConsoleProgressBarConsumer(console.err(), width))
                  .build());
    }
    bar.get().setExtraMessage(figures);
    bar.get().stepTo(done);
  }

  @Override
  public void close() {
    bar.ifPresent(ProgressBar::close);
  }
}
