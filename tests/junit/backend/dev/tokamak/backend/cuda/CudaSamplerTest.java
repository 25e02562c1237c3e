// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Limits;
import dev.tokamak.backend.NotFiniteException;
import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Replay;
import dev.tokamak.backend.Sampling;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.TinyProgram;
import dev.tokamak.backend.TokenSampler;
import dev.tokamak.backend.TokenSampler.Besides;
import dev.tokamak.backend.nativelib.CudaLibrary;
import dev.tokamak.testing.Allocations;
import dev.tokamak.testing.Seeds;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.ThrowingConsumer;

/** What a step brings back when it is asked for tokens, over the emulated device. */
class CudaSamplerTest {
  private static final Limits LIMITS = new Limits(8, 5, 2, 4, 8);
  private static final int[] HISTORY = {3, 5, 5, 7};

  /** What no logit is. */
  private static final float UNTOUCHED = -12345;

  /** Greedy, with a penalty that no logit outweighs. */
  private record Greedy(double presencePenalty, int repeatLastN) implements Sampling {
    @Override
    public double temp() {
      return 0;
    }

    @Override
    public int topK() {
      return 0;
    }

    @Override
    public double topP() {
      return 1;
    }

    @Override
    public double minP() {
      return 0;
    }

    @Override
    public double typical() {
      return 1;
    }

    @Override
    public double repeatPenalty() {
      return 1;
    }

    @Override
    public double frequencyPenalty() {
      return 0;
    }

    @Override
    public long seed() {
      return 0;
    }
  }

  private static final Sampling GREEDY = new Greedy(0, -1);

  @BeforeAll
  static void theEmulatedDeviceIsThere() {
    assumeTrue(System.getProperty("os.name").equals("Linux"), "kernels are made for Linux only");
    assumeTrue(
        CudaLibrary.emulated().isPresent(),
        "the property " + CudaLibrary.EMULATION + " is not set");
    assertThat(CudaLibrary.obstacle()).isEmpty();
  }

  private final FakeMachine machine = new FakeMachine();
  private final FakeDriver driver =
      new FakeDriver(CudaLibrary.emulated().map(path -> new EmulatedDriver()));

  private void onReplay(boolean damaged, ThrowingConsumer<Replay> test) {
    Seeds.check(
        random -> {
          machine.driver = driver;
          try (Arena arena = Arena.ofConfined();
              Backend cuda = new CudaBackend(new CudaProbe(machine))) {
            TinyProgram tiny =
                new TinyProgram(
                    random, arena, QuantType.F32, 48, 4, 2, QuantType.F32, Pairing.HALF_SPLIT);
            if (damaged) {
              Tensor head = tiny.matrices().getLast();
              head.data().set(ValueLayout.JAVA_FLOAT_UNALIGNED, 0, Float.NaN);
            }
            try (Backend.Weights weights = cuda.load(tiny.matrices(), Backend.Progress.none());
                Replay replay = cuda.prepare(tiny.program(), weights, LIMITS)) {
              for (int page = 0; page < 4; page++) {
                replay.batch().page(0, page, page);
              }
              test.accept(replay);
            }
          }
          assertThat(driver.open()).isEmpty();
        });
  }

  /** So many rows of a sequence from its start, each an output. */
  private static void fill(Replay replay, int count) {
    replay.batch().clear();
    for (int i = 0; i < count; i++) {
      replay.batch().add(10 + i, i, 0);
      replay.batch().wantLogits();
    }
    for (int i = 0; i < LIMITS.outputs() * TinyProgram.VOCABULARY; i++) {
      replay.logits().setAtIndex(JAVA_FLOAT, i, UNTOUCHED);
    }
  }

  private static float[] row(Replay replay, int output) {
    long bytes = 4L * TinyProgram.VOCABULARY;
    return replay.logits().asSlice(output * bytes, bytes).toArray(JAVA_FLOAT);
  }

  private static float[][] logits(Replay replay, int count) {
    fill(replay, count);
    replay.step();
    float[][] logits = new float[count][];
    for (int i = 0; i < count; i++) {
      logits[i] = row(replay, i);
      assertThat(logits[i]).doesNotContain(UNTOUCHED);
    }
    return logits;
  }

  private static int largest(float[] logits) {
    int best = 0;
    for (int i = 1; i < logits.length; i++) {
      best = logits[i] > logits[best] ? i : best;
    }
    return best;
  }

  @Test
  void onlyWhatIsAskedForComesBack() {
    onReplay(
        false,
        replay -> {
          TokenSampler sampler = replay.sampler().orElseThrow();
          assertThat(replay.sampler()).containsSame(sampler);
          for (int count : new int[] {1, 2, 3, 5}) {
            float[][] expected = logits(replay, count);
            for (Besides besides : Besides.values()) {
              fill(replay, count);
              for (int i = 0; i < count; i++) {
                sampler.want(i, GREEDY, HISTORY, HISTORY.length, besides);
              }
              replay.step();
              for (int i = 0; i < count; i++) {
                assertThat(sampler.token(i)).isEqualTo(largest(expected[i]));
                if (besides == Besides.LOGITS) {
                  assertThat(row(replay, i)).isEqualTo(expected[i]);
                } else {
                  assertThat(row(replay, i)).containsOnly(UNTOUCHED);
                }
                if (besides == Besides.LOG_PROBABILITIES) {
                  compare(sampler, i, expected[i]);
                }
              }
            }
            // Who asks for nothing gets logits, whatever the steps before and the others asked.
            fill(replay, count);
            sampler.want(0, GREEDY, HISTORY, HISTORY.length, Besides.LOG_PROBABILITIES);
            replay.step();
            assertThat(sampler.token(0)).isEqualTo(largest(expected[0]));
            compare(sampler, 0, expected[0]);
            for (int i = 1; i < count; i++) {
              assertThat(row(replay, i)).isEqualTo(expected[i]);
            }
            assertThat(logits(replay, count)).isDeepEqualTo(expected);
          }
        });
  }

  private static void compare(TokenSampler sampler, int output, float[] logits) {
    double total = 0;
    for (float logit : logits) {
      total += Math.exp(logit);
    }
    int token = sampler.token(output);
    assertThat(sampler.logProbability(output))
        .isCloseTo(logits[token] - Math.log(total), within(1e-11));
    assertThat(sampler.topToken(output, 0)).isEqualTo(token);
    assertThat(sampler.tops()).isEqualTo(TinyProgram.VOCABULARY);
    double sum = 0;
    for (int rank = 0; rank < sampler.tops(); rank++) {
      double logProbability = sampler.topLogProbability(output, rank);
      assertThat(logProbability)
          .isCloseTo(logits[sampler.topToken(output, rank)] - Math.log(total), within(1e-11));
      assertThat(rank == 0 || logProbability <= sampler.topLogProbability(output, rank - 1))
          .isTrue();
      sum += Math.exp(logProbability);
    }
    assertThat(sum).isCloseTo(1, within(1e-11));
    assertThatThrownBy(() -> sampler.topToken(output, sampler.tops()))
        .isInstanceOf(IndexOutOfBoundsException.class);
  }

  /** The window of recent tokens is the end of the history. */
  @Test
  void penaltiesSeeTheLastTokens() {
    onReplay(
        false,
        replay -> {
          TokenSampler sampler = replay.sampler().orElseThrow();
          int best = largest(logits(replay, 1)[0]);
          int[] history = new int[4];
          Arrays.fill(history, (best + 1) % TinyProgram.VOCABULARY);
          history[0] = best;
          for (int last : new int[] {0, 1, history.length - 1, history.length, -1}) {
            fill(replay, 1);
            sampler.want(0, new Greedy(1000, last), history, history.length, Besides.NOTHING);
            replay.step();
            boolean seen = last < 0 || last == history.length;
            assertThat(sampler.token(0) != best).as("repeat-last-n=%d", last).isEqualTo(seen);
          }
          int most = sampler.mostRecent();
          fill(replay, 1);
          sampler.want(0, new Greedy(1, most), new int[most + 1], most + 1, Besides.NOTHING);
          assertThatThrownBy(
                  () ->
                      sampler.want(
                          0, new Greedy(1, -1), new int[most + 1], most + 1, Besides.NOTHING))
              .isInstanceOf(BackendException.class)
              .hasMessage("sampling: 1025 recent tokens are more than 1024");
        });
  }

  @Test
  void logitsThatAreNotFiniteAreFoundWithoutBringingThemBack() {
    onReplay(
        true,
        replay -> {
          TokenSampler sampler = replay.sampler().orElseThrow();
          for (Besides besides : Besides.values()) {
            fill(replay, 2);
            sampler.want(0, GREEDY, HISTORY, HISTORY.length, besides);
            sampler.want(1, GREEDY, HISTORY, HISTORY.length, besides);
            assertThatThrownBy(replay::step)
                .isInstanceOf(NotFiniteException.class)
                .hasMessageContaining("matmul head");
          }
        });
  }

  @Test
  void itsMemoryIsPlannedAndGivenBack() {
    onReplay(
        false,
        replay -> {
          Map<String, Integer> before = driver.open();
          long bytes = replay.bytes();
          for (int call = 1; call <= 3; call++) {
            driver.failAt(call, CudaException.OUT_OF_MEMORY, false);
            assertThatThrownBy(replay::sampler).isInstanceOf(CudaException.class);
            assertThat(driver.open()).isEqualTo(before);
          }
          driver.recover();
          driver.memory = Optional.of(new CudaDriver.Memory(MemoryPlan.RESERVE + 10, 80L << 30));
          assertThatThrownBy(replay::sampler)
              .isInstanceOf(BackendException.class)
              .hasMessageMatching(
                  "cuda: not enough device memory: tokens .* \\+ sampling scratch .* = .*, 67.1 MB"
                      + " free of 85.9 GB, .*; fewer --parallel need less");
          assertThat(driver.open()).isEqualTo(before);
          driver.memory = Optional.empty();
          replay.sampler();
          assertThat(replay.bytes()).isGreaterThan(bytes);
        });
  }

  @Test
  void aStepAllocatesNothing() {
    onReplay(
        false,
        replay -> {
          TokenSampler sampler = replay.sampler().orElseThrow();
          Sampling penalties = new Greedy(0.5, -1);
          steps(replay, sampler, penalties, 200);
          long before = Allocations.bytes();
          steps(replay, sampler, penalties, 100);
          assertThat(Allocations.bytes() - before).isZero();
        });
  }

  private static void steps(
      Replay replay, TokenSampler sampler, Sampling sampling, int count) {
    int token = 1;
    for (int i = 0; i < count; i++) {
      replay.batch().clear();
      replay.batch().add(token, i % TinyProgram.POSITIONS, 0);
      int output = replay.batch().wantLogits();
      sampler.want(output, sampling, HISTORY, HISTORY.length, Besides.NOTHING);
      replay.step();
      token = sampler.token(output);
    }
  }
}
