// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Ctrl-C while a command works: it is asked to stop, and the process waits until it has, so that
 * what was written is whole and no native code runs in a dying process. The exit status is the
 * signal's, 130.
 */
public final class Interrupt {
  private static final Duration PATIENCE = Duration.ofSeconds(10);
  private static final CountDownLatch FINISHED = new CountDownLatch(1);

  private Interrupt() {}

  /**
   * Calls {@code stop} once if the process is told to end before the command is done.
   *
   * @param stop called in another thread; makes the command end soon
   */
  public static Registration onStop(Runnable stop) {
    return onStop(stop, PATIENCE);
  }

  /**
   * As above.
   *
   * @param patience how long the process waits for the command to end
   */
  public static Registration onStop(Runnable stop, Duration patience) {
    Thread hook =
        new Thread(
            () -> {
              stop.run();
              try {
                FINISHED.await(patience.toSeconds(), TimeUnit.SECONDS);
              } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
              }
            },
            "interrupt");
    Runtime.getRuntime().addShutdownHook(hook);
    return () -> {
      try {
        Runtime.getRuntime().removeShutdownHook(hook);
      } catch (IllegalStateException _) {
        // the process is ending: the hook waits for finished()
      }
    };
  }

  /** The process's command is done. */
  static void finished() {
    FINISHED.countDown();
  }

  /** Ends the readiness to stop. */
  public interface Registration extends AutoCloseable {
    @Override
    void close();
  }
}
