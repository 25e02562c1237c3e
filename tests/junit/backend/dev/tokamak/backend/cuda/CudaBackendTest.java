// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Backends;
import dev.tokamak.backend.Limits;
import dev.tokamak.backend.NotFiniteException;
import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Replay;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.TinyProgram;
import dev.tokamak.backend.nativelib.CudaLibrary;
import dev.tokamak.backend.reference.ReferenceBackend;
import dev.tokamak.testing.Allocations;
import dev.tokamak.testing.Seeds;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The backend over the emulated device: the kernels are real, the driver counts and may fail. */
class CudaBackendTest {
  private static final Limits LIMITS = new Limits(40, 40, 2, 4, 8);

  @BeforeAll
  static void theEmulatedDeviceIsThere() {
    assumeTrue(System.getProperty("os.name").equals("Linux"), "kernels are made for Linux only");
    assumeTrue(
        CudaLibrary.emulated().isPresent(), "property " + CudaLibrary.EMULATION + " is not set");
    assertThat(CudaLibrary.obstacle()).isEmpty();
  }

  private final FakeMachine machine = new FakeMachine();
  private final FakeDriver driver =
      new FakeDriver(CudaLibrary.emulated().map(path -> new EmulatedDriver()));

  private CudaBackend backend() {
    machine.driver = driver;
    return new CudaBackend(new CudaProbe(machine));
  }

  @ParameterizedTest
  @EnumSource(QuantType.class)
  void logitsAreThoseOfTheReference(QuantType type) {
    Seeds.check(
        random -> {
          try (Arena arena = Arena.ofConfined();
              Backend cuda = backend();
              Backend reference = new ReferenceBackend(Backends.Options.defaults())) {
            int dim = type.blockElements() == 1 ? 60 : Math.max(96, type.blockElements());
            int heads = dim == 256 ? 8 : 6;
            TinyProgram tiny =
                new TinyProgram(
                    random, arena, type, dim, heads, heads / 2, QuantType.F32, Pairing.HALF_SPLIT);
            int[] tokens = tokens(random, 37);
            assertClose(run(cuda, tiny, tokens, 40), run(reference, tiny, tokens, 40), 1e-4);
          }
        });
  }

  /** The promise of determinism: chunks, and so buckets and graphs, change no bit. */
  @ParameterizedTest
  @EnumSource(
      value = QuantType.class,
      names = {"F32", "F16", "BF16", "Q8_0"})
  void bitsDoNotDependOnChunks(QuantType cacheType) {
    Seeds.check(
        random -> {
          try (Arena arena = Arena.ofConfined();
              Backend cuda = backend()) {
            TinyProgram tiny =
                new TinyProgram(
                    random, arena, QuantType.Q8_0, 192, 6, 2, cacheType, Pairing.INTERLEAVED);
            int[] tokens = tokens(random, 37);
            float[][] expected = run(cuda, tiny, tokens, 40);
            for (int chunk : new int[] {1, 7, 17}) {
              assertThat(run(cuda, tiny, tokens, chunk)).as("chunk=%d", chunk)
                  .isDeepEqualTo(expected);
            }
          }
        });
  }

  @Test
  void fusedLaunchesGiveTheSameBits() {
    Seeds.check(
        random -> {
          try (Arena arena = Arena.ofConfined()) {
            for (Pairing pairing : Pairing.values()) {
              TinyProgram tiny =
                  new TinyProgram(
                      random, arena, QuantType.F32, 60, 6, 3, QuantType.F16, pairing);
              List<Launch> unfused = Launch.unfused(tiny.program());
              List<Launch> fused = Launch.fused(tiny.program());
              assertThat(fused).hasSize(unfused.size() - 2 * 2); // two layers, three in one
              assertThat(fused.stream().flatMap(launch -> launch.operations().stream()).toList())
                  .isEqualTo(tiny.program().operations());
              int[] tokens = tokens(random, 20);
              assertThat(run(fused, tiny, tokens)).isDeepEqualTo(run(unfused, tiny, tokens));
            }
          }
        });
  }

  private float[][] run(List<Launch> launches, TinyProgram tiny, int[] tokens) {
    machine.driver = driver;
    CudaDevice device = new CudaProbe(machine).device().orElseThrow();
    try (CudaWeights weights =
            new CudaWeights(device, tiny.matrices(), Backend.Progress.none());
        Replay replay = new CudaReplay(device, tiny.program(), launches, weights, LIMITS)) {
      return TinyProgram.logits(replay, 1, tokens, 8);
    }
  }

  @Test
  void logitsThatAreNotFiniteNameTheOperation() {
    Seeds.check(
        random -> {
          try (Arena arena = Arena.ofConfined();
              Backend cuda = backend()) {
            TinyProgram tiny = tiny(random, arena);
            Tensor damaged =
                tiny.matrices().stream().filter(m -> m.name().equals("up1")).findFirst().get();
            damaged.data().set(ValueLayout.JAVA_FLOAT_UNALIGNED, 0, Float.NaN);
            assertThatThrownBy(() -> run(cuda, tiny, tokens(random, 5), 40))
                .isInstanceOf(NotFiniteException.class)
                .hasMessageContaining("matmul up1");
          }
        });
  }

  @Test
  void whatTheBatchNamesMustExist() {
    Seeds.check(
        random -> {
          try (Arena arena = Arena.ofConfined();
              Backend cuda = backend()) {
            TinyProgram tiny = tiny(random, arena);
            for (int token : new int[] {-1, TinyProgram.VOCABULARY}) {
              assertThatThrownBy(() -> run(cuda, tiny, new int[] {token}, 1))
                  .isInstanceOf(BackendException.class)
                  .hasMessage("batch: token=" + token + " is not below the vocabulary's 77");
            }
            try (Backend.Weights weights = cuda.load(tiny.matrices(), Backend.Progress.none());
                Replay replay = cuda.prepare(tiny.program(), weights, LIMITS)) {
              assertThatThrownBy(replay::step).hasMessage("batch: rows=0, expected 1 to 40");
            }
          }
        });
  }

  /** Wherever a call fails for want of memory, one line says so and all taken comes back. */
  @Test
  void outOfMemoryAnywhereLeavesNothingBehind() {
    Seeds.check(
        random -> {
          try (Arena arena = Arena.ofConfined();
              Backend cuda = backend()) {
            TinyProgram tiny = tiny(random, arena);
            int[] tokens = tokens(random, 3);
            driver.failAt(Integer.MAX_VALUE, 0, false);
            float[][] expected = run(cuda, tiny, tokens, 40);
            int calls = driver.calls();
            assertThat(calls).isGreaterThan(50);
            for (int call = 1; call <= calls; call++) {
              driver.failAt(call, CudaException.OUT_OF_MEMORY, false);
              assertThatThrownBy(() -> run(cuda, tiny, tokens, 40))
                  .as("call %d", call)
                  .isInstanceOf(CudaException.class)
                  .hasMessageEndingWith(" failed with error 2 (as the test wants)");
              assertThat(driver.open()).as("call %d", call).isEmpty();
            }
            driver.recover();
            assertThat(run(cuda, tiny, tokens, 40)).isDeepEqualTo(expected);
            assertThat(driver.open()).isEmpty();
          }
        });
  }

  /** A device that fails in a step, and stays so, ends the work in one line. */
  @Test
  void aLostDeviceIsUsedNoMore() {
    Seeds.check(
        random -> {
          for (int code : new int[] {700, 719, 46, 999}) {
            try (Arena arena = Arena.ofConfined()) {
              TinyProgram tiny = tiny(random, arena);
              machine.driver = driver;
              CudaProbe probe = new CudaProbe(machine);
              try (Backend cuda = new CudaBackend(probe);
                  Backend.Weights weights = cuda.load(tiny.matrices(), Backend.Progress.none());
                  Replay replay = cuda.prepare(tiny.program(), weights, LIMITS)) {
                TinyProgram.logits(replay, 0, tokens(random, 3), 1);
                driver.failAt(1, code, true);
                assertThatThrownBy(() -> TinyProgram.logits(replay, 1, tokens(random, 3), 1))
                    .isInstanceOf(CudaException.class)
                    .hasMessage(
                        "cuda: launch failed with error " + code
                            + " (as the test wants): nothing runs on this device any more");
                driver.recover();
                assertThatThrownBy(() -> TinyProgram.logits(replay, 1, tokens(random, 3), 1))
                    .isInstanceOf(BackendException.class)
                    .hasMessageStartingWith("cuda: the device failed earlier: ");
                assertThatThrownBy(() -> cuda.load(tiny.matrices(), Backend.Progress.none()))
                    .hasMessageStartingWith("cuda: the device failed earlier: ");
                assertThat(probe.obstacle().orElseThrow())
                    .isInstanceOf(CudaObstacle.DeviceLost.class);
              }
              assertThat(driver.open()).isEmpty();
            }
          }
        });
  }

  @Test
  void tooLittleMemoryForTheWeightsIsAnObstacle() {
    Seeds.check(
        random -> {
          try (Arena arena = Arena.ofConfined()) {
            machine.driver = driver;
            CudaProbe probe = new CudaProbe(machine);
            TinyProgram tiny = tiny(random, arena);
            Backends.Options options =
                new Backends.Options("cuda", OptionalInt.empty(), Optional.empty(), false);
            assertThat(CudaBackend.obstacle(probe, options, tiny.matrices())).isEmpty();
            driver.memory = Optional.of(new CudaDriver.Memory(65 << 20, 80L << 30));
            CudaObstacle.TooLittleMemory found =
                (CudaObstacle.TooLittleMemory)
                    CudaBackend.obstacle(probe, options, bigger(tiny, arena)).orElseThrow();
            assertThat(found.have()).isEqualTo(65 << 20);
            assertThat(found.need()).isGreaterThan(65 << 20);
            assertThat(found.message()).contains("GPU A has 68.2 MB free");
          }
        });
  }

  private static List<Tensor> bigger(TinyProgram tiny, Arena arena) {
    return List.of(
        tiny.matrices().getFirst(),
        new Tensor("big", QuantType.F32, 1024, 1024, arena.allocate(4 << 20, 64)));
  }

  /** What a program needs is planned before it is taken, and told in numbers. */
  @Test
  void aPlanThatDoesNotFitIsRefused() {
    Seeds.check(
        random -> {
          try (Arena arena = Arena.ofConfined();
              Backend cuda = backend()) {
            TinyProgram tiny = tiny(random, arena);
            try (Backend.Weights weights = cuda.load(tiny.matrices(), Backend.Progress.none())) {
              cuda.prepare(tiny.program(), weights, LIMITS).close();
              driver.memory =
                  Optional.of(new CudaDriver.Memory(MemoryPlan.RESERVE + 1000, 80L << 30));
              Map<String, Integer> before = driver.open();
              assertThatThrownBy(() -> cuda.prepare(tiny.program(), weights, LIMITS))
                  .isInstanceOf(BackendException.class)
                  .hasMessageMatching(
                      "cuda: not enough device memory: activations .* \\+ rotary table .* \\+ cache"
                          + " .* = .*, 67.1 MB free of 85.9 GB, .*; a smaller --ctx.*");
              assertThat(driver.open()).isEqualTo(before);
            }
          }
        });
  }

  @Test
  void aStepAllocatesNothing() {
    Seeds.check(
        random -> {
          try (Arena arena = Arena.ofConfined();
              Backend cuda = backend()) {
            TinyProgram tiny = tiny(random, arena);
            try (Backend.Weights weights = cuda.load(tiny.matrices(), Backend.Progress.none());
                Replay replay = cuda.prepare(tiny.program(), weights, new Limits(1, 1, 1, 4, 4))) {
              for (int page = 0; page < 4; page++) {
                replay.batch().page(0, page, page);
              }
              steps(replay, 200);
              long before = Allocations.bytes();
              steps(replay, 100);
              assertThat(Allocations.bytes() - before).isZero();
            }
          }
        });
  }

  private static void steps(Replay replay, int count) {
    for (int i = 0; i < count; i++) {
      replay.batch().clear();
      replay.batch().add(i % TinyProgram.VOCABULARY, i % TinyProgram.POSITIONS, 0);
      replay.batch().wantLogits();
      replay.step();
    }
  }

  private static TinyProgram tiny(RandomGenerator random, Arena arena) {
    return new TinyProgram(
        random, arena, QuantType.F32, 48, 4, 2, QuantType.F32, Pairing.HALF_SPLIT);
  }

  private static float[][] run(Backend backend, TinyProgram tiny, int[] tokens, int chunk) {
    try (Backend.Weights weights = backend.load(tiny.matrices(), Backend.Progress.none());
        Replay replay = backend.prepare(tiny.program(), weights, LIMITS)) {
      return TinyProgram.logits(replay, 1, tokens, chunk);
    }
  }

  private static int[] tokens(RandomGenerator random, int count) {
    return random.ints(count, 0, TinyProgram.VOCABULARY).toArray();
  }

  /** The largest error, as a share of the largest logit. */
  private static void assertClose(float[][] actual, float[][] expected, double bound) {
    double largest = 0;
    double worst = 0;
    for (int i = 0; i < expected.length; i++) {
      for (int j = 0; j < expected[i].length; j++) {
        largest = Math.max(largest, Math.abs(expected[i][j]));
        worst = Math.max(worst, Math.abs(actual[i][j] - expected[i][j]));
      }
    }
    assertThat(worst / largest).isLessThan(bound);
  }
}
