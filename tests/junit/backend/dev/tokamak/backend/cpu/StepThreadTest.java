// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.backend.BackendException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class StepThreadTest {
  private final StepThread steps = new StepThread();

  @AfterEach
  void close() {
    steps.close();
  }

  /** A step that goes on until it is stopped. */
  private static final class Endless {
    final AtomicBoolean stopped = new AtomicBoolean();

    String run() {
      while (!stopped.get()) {
        Thread.onSpinWait();
      }
      return "stopped";
    }

    void stop() {
      stopped.set(true);
    }
  }

  @Test
  void anInterruptStopsAndStaysSet() {
    Endless step = new Endless();
    Thread.currentThread().interrupt();
    assertThat(steps.run(step::run, () -> false, step::stop)).isEqualTo("stopped");
    assertThat(Thread.interrupted()).isTrue();
  }

  @Test
  void theCallerIsAskedWhetherItIsWanted() {
    Endless step = new Endless();
    AtomicInteger asked = new AtomicInteger();
    assertThat(steps.run(step::run, () -> asked.incrementAndGet() == 3, step::stop))
        .isEqualTo("stopped");
    assertThat(asked).hasValueGreaterThanOrEqualTo(3);
  }

  @Test
  void noStepRunsOnWhereTheQuestionThrows() {
    Endless step = new Endless();
    assertThatThrownBy(
            () ->
                steps.run(
                    step::run,
                    () -> {
                      throw new IllegalStateException("enough");
                    },
                    step::stop))
        .hasMessage("enough");
    assertThat(step.stopped).isTrue();
  }

  @Test
  void whatAStepThrowsComesOutAsItIs() {
    assertThatThrownBy(
            () ->
                steps.run(
                    () -> {
                      throw new BackendException("cpu: step: refused");
                    },
                    () -> false,
                    () -> {}))
        .isInstanceOf(BackendException.class)
        .hasMessage("cpu: step: refused");
  }

  /** As many wait as would fill every carrier, and another virtual thread still runs. */
  @Test
  void aWaitingVirtualThreadHoldsNoCarrier() throws InterruptedException {
    int waiting = 2 * Runtime.getRuntime().availableProcessors();
    Semaphore end = new Semaphore(0);
    CountDownLatch ended = new CountDownLatch(waiting);
    for (int i = 0; i < waiting; i++) {
      Thread.ofVirtual()
          .start(
              () -> {
                steps.run(
                    () -> {
                      end.acquireUninterruptibly();
                      return true;
                    },
                    () -> false,
                    () -> {});
                ended.countDown();
              });
    }
    Thread other = Thread.ofVirtual().start(() -> end.release(waiting));
    other.join();
    ended.await();
  }
}
