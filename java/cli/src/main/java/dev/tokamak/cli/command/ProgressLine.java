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

  private final Console console;
  private final boolean shown;
  private final String task;
  private final String unit;
  private final long unitSize;
  private final long start = System.nanoTime();
  private Optional<ProgressBar> bar = Optional.empty();

  private ProgressLine(
      Console console, boolean quiet, String task, String unit, long unitSize) {
    this.console = console;
    this.shown = console.live() && !quiet;
    this.task = task;
    this.unit = unit;
    this.unitSize = unitSize;
  }

  /** Progress told in bytes. */
  static ProgressLine bytes(Console console, boolean quiet, String task) {
    return new ProgressLine(console, quiet, task, " MB", 1_000_000);
  }

  /** Progress told in pieces of work. */
  static ProgressLine pieces(Console console, boolean quiet, String task, String unit) {
    return new ProgressLine(console, quiet, task, " " + unit, 1);
  }

  /** So much of all is done. */
  void at(long done, long total) {
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
                  .setConsumer(new ConsoleProgressBarConsumer(console.err(), WIDTH))
                  .build());
    }
    bar.get().stepTo(done);
  }

  @Override
  public void close() {
    bar.ifPresent(ProgressBar::close);
  }
}
