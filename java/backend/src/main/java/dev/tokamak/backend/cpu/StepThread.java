// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cpu;

import static java.util.concurrent.TimeUnit.MILLISECONDS;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/**
 * A platform thread that steps for callers who must not stand in native code themselves: one that
 * wants to be interrupted would not notice, and a virtual one would hold its carrier. Steps run in
 * the order in which they were asked for.
 */
final class StepThread implements AutoCloseable {
  /** How often a caller looks whether its step is still wanted. */
  private static final int LOOK_MILLIS = 5;

  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(
          Thread.ofPlatform().daemon().name("tokamak-step").factory());

  /**
   * Runs a step; the caller waits for its end, whatever happens.
   *
   * @param stop called where the caller is interrupted, whose flag is then set again, or {@code
   *     unwanted} says so: makes the step end soon
   */
  <T> T run(Supplier<T> step, BooleanSupplier unwanted, Runnable stop) {
    CompletableFuture<T> running = CompletableFuture.supplyAsync(step, thread);
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return running.get(LOOK_MILLIS, MILLISECONDS);
        } catch (TimeoutException _) {
          if (unwanted.getAsBoolean()) {
            stop.run();
          }
        } catch (InterruptedException _) {
          interrupted = true;
          stop.run();
        }
      }
    } catch (ExecutionException e) {
      throw switch (e.getCause()) {
        case RuntimeException thrown -> thrown;
        case Error thrown -> throw thrown;
        default -> new IllegalStateException(e);
      };
    } finally {
      // Its memory is the caller's: nothing may run on where `unwanted` throws.
      if (!running.isDone()) {
        stop.run();
        running.exceptionally(_ -> null).join();
      }
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  @Override
  public void close() {
    thread.shutdown();
  }
}
