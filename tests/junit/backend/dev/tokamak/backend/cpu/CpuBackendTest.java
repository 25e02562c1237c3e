// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cpu;

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
import dev.tokamak.backend.machine.CpuList;
import dev.tokamak.backend.machine.Libc;
import dev.tokamak.backend.machine.Topology;
import dev.tokamak.backend.reference.ReferenceBackend;
import dev.tokamak.testing.Seeds;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class CpuBackendTest {
  private static final Limits LIMITS = new Limits(40, 40, 2, 4, 8);

  @BeforeAll
  static void nativeLibraryIsThere() {
    boolean linux = System.getProperty("os.name").equals("Linux");
    assumeTrue(linux, "native kernels are made for Linux only");
    assertThat(CpuBackend.obstacle(Backends.Options.defaults())).isEmpty();
  }

  /** Every weight type at every level of this machine, against the reference. */
  @ParameterizedTest
  @EnumSource(QuantType.class)
  void logitsAreThoseOfTheReference(QuantType type) {
    Seeds.check(
        random -> {
          try (Arena arena = Arena.ofConfined()) {
            int dim = type.blockElements() == 1 ? 60 : Math.max(96, type.blockElements());
            int heads = dim == 256 ? 8 : 6;
            TinyProgram tiny =
                new TinyProgram(
                    random, arena, type, dim, heads, heads / 2, QuantType.F32, Pairing.HALF_SPLIT);
            int[] tokens = tokens(random, 37);
            float[][] expected;
            try (Backend backend = new ReferenceBackend(Backends.Options.defaults())) {
              expected = run(backend, tiny, tokens, 40);
            }
            for (String level : reachableLevels()) {
              try (Backend backend = new CpuBackend(options(2, level))) {
                assertClose(run(backend, tiny, tokens, 40), expected, bound(type), type + " " + level);
              }
            }
          }
        });
  }

  /** Largest error as a share of the largest logit: what rounding the activations costs. */
  private static double bound(QuantType type) {
    return switch (type) {
      case F32, F16 -> 1e-5;
      case BF16 -> 2e-2;
      case Q8_0, Q4_0, Q4_K, Q5_K, Q6_K -> 4e-2;
    };
  }

  @ParameterizedTest
  @EnumSource(
      value = QuantType.class,
      names = {"F32", "F16", "BF16", "Q8_0"})
  void cacheTypesAreThoseOfTheReference(QuantType cacheType) {
    Seeds.check(
        random -> {
          try (Arena arena = Arena.ofConfined();
              Backend reference = new ReferenceBackend(Backends.Options.defaults());
              Backend cpu = new CpuBackend(options(2, ""))) {
            TinyProgram tiny =
                new TinyProgram(
                    random, arena, QuantType.F32, 192, 6, 2, cacheType, Pairing.INTERLEAVED);
            int[] tokens = tokens(random, 50);
            // A value at the edge between two steps of a coarse type may fall to either side.
            double bound = cacheType == QuantType.F32 ? 1e-5 : 5e-3;
            assertClose(
                run(cpu, tiny, tokens, 40), run(reference, tiny, tokens, 40), bound, "" + cacheType);
          }
        });
  }

  /** The promise of determinism: threads, chunks and neighbours change no bit. */
  @ParameterizedTest
  @EnumSource(QuantType.class)
  void bitsDoNotDependOnThreadsOrChunks(QuantType type) {
    Seeds.check(
        random -> {
          try (Arena arena = Arena.ofConfined()) {
            int dim = Math.max(96, type.blockElements());
            TinyProgram tiny =
                new TinyProgram(
                    random, arena, type, dim, 4, 2, QuantType.F16, Pairing.HALF_SPLIT);
            int[] tokens = tokens(random, 37);
            float[][] expected;
            try (Backend backend = new CpuBackend(options(1, ""))) {
              expected = run(backend, tiny, tokens, 40);
            }
            for (int threads = 1; threads <= 3; threads++) {
              try (Backend backend = new CpuBackend(options(threads, ""))) {
                for (int chunk : new int[] {1, 7, 40}) {
                  assertThat(run(backend, tiny, tokens, chunk))
                      .as("threads=%d chunk=%d", threads, chunk)
                      .isDeepEqualTo(expected);
                }
              }
            }
          }
        });
  }

  @Test
  void twoBackendsAndEightCallersWorkSideBySide() {
    Seeds.check(
        random -> {
          try (Arena arena = Arena.ofShared();
              Backend a = new CpuBackend(options(2, ""));
              Backend b = new CpuBackend(options(2, ""));
              var callers = Executors.newFixedThreadPool(8)) {
            TinyProgram tiny =
                new TinyProgram(
                    random, arena, QuantType.Q8_0, 96, 4, 2, QuantType.F32, Pairing.HALF_SPLIT);
            int[] tokens = tokens(random, 30);
            float[][] expected = run(a, tiny, tokens, 40);
            List<Callable<float[][]>> work = new ArrayList<>();
            for (int caller = 0; caller < 8; caller++) {
              Backend backend = caller % 2 == 0 ? a : b;
              int chunk = 1 + caller;
              work.add(() -> run(backend, tiny, tokens, chunk));
            }
            for (Future<float[][]> result : callers.invokeAll(work)) {
              assertThat(result.get()).isDeepEqualTo(expected);
            }
          }
        });
  }

  @Test
  void logitsThatAreNotFiniteNameTheOperation() {
    Seeds.check(
        random -> {
          try (Arena arena = Arena.ofConfined();
              Backend cpu = new CpuBackend(options(2, ""));
              Backend reference = new ReferenceBackend(Backends.Options.defaults())) {
            TinyProgram tiny =
                new TinyProgram(
                    random, arena, QuantType.F32, 48, 4, 2, QuantType.F32, Pairing.HALF_SPLIT);
            Tensor damaged =
                tiny.matrices().stream().filter(m -> m.name().equals("up1")).findFirst().get();
            damaged.data().set(java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED, 0, Float.NaN);
            for (Backend backend : List.of(cpu, reference)) {
              assertThatThrownBy(() -> run(backend, tiny, tokens(random, 5), 40))
                  .isInstanceOf(NotFiniteException.class)
                  .hasMessageContaining("matmul up1");
            }
          }
        });
  }

  @Test
  void aTokenOutsideTheVocabularyIsRefused() {
    Seeds.check(
        random -> {
          try (Arena arena = Arena.ofConfined();
              Backend cpu = new CpuBackend(options(1, ""))) {
            TinyProgram tiny =
                new TinyProgram(
                    random, arena, QuantType.F32, 48, 4, 2, QuantType.F32, Pairing.HALF_SPLIT);
            assertThatThrownBy(() -> run(cpu, tiny, new int[] {TinyProgram.VOCABULARY}, 1))
                .isInstanceOf(BackendException.class)
                .hasMessageContaining("77");
          }
        });
  }

  @Test
  void lockedWeightsStayInMemory() {
    Seeds.check(
        random -> {
          Backends.Options locked =
              new Backends.Options("cpu", OptionalInt.of(1), Optional.empty(), true);
          try (Arena arena = Arena.ofConfined();
              Backend cpu = new CpuBackend(locked)) {
            TinyProgram tiny =
                new TinyProgram(
                    random, arena, QuantType.F32, 48, 4, 2, QuantType.F32, Pairing.HALF_SPLIT);
            assertThat(lockedKilobytes()).isZero();
            try (Backend.Weights _ = cpu.load(tiny.matrices(), Backend.Progress.none())) {
              assertThat(lockedKilobytes()).isPositive();
            }
            assertThat(lockedKilobytes()).isZero();
          }
        });
  }

  /** What the system says of this process. */
  private static long lockedKilobytes() throws IOException {
    return Files.readAllLines(Path.of("/proc/self/status")).stream()
        .filter(line -> line.startsWith("VmLck:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
        .sum();
  }

  /** The caller's own thread is on its processor only while it steps. */
  @Test
  void threadsStayWhereTheyAreTold() {
    int[] allowed = Libc.affinity().orElseThrow();
    CpuList last = CpuList.of(allowed[allowed.length - 1]);
    Seeds.check(
        random -> {
          try (Arena arena = Arena.ofConfined();
              CpuBackend pinned = new CpuBackend(options(OptionalInt.empty(), last));
              Backend free = new CpuBackend(options(2, ""))) {
            assertThat(pinned.threads()).isEqualTo(1);
            assertThat(pinned.description())
                .endsWith("1 thread, pinned to processors " + last);
            TinyProgram tiny =
                new TinyProgram(
                    random, arena, QuantType.Q8_0, 96, 4, 2, QuantType.F32, Pairing.HALF_SPLIT);
            int[] tokens = tokens(random, 30);
            assertThat(run(pinned, tiny, tokens, 40)).isDeepEqualTo(run(free, tiny, tokens, 40));
            assertThat(Libc.affinity().orElseThrow()).isEqualTo(allowed);
          }
        });
  }

  @Test
  void processorsThatCannotBeHadAreRefused() {
    CpuList nowhere = CpuList.of(8191);
    assertThatThrownBy(() -> new CpuBackend(options(OptionalInt.empty(), nowhere)))
        .isInstanceOf(BackendException.class)
        .hasMessage(
            "processor 8191 is not there: this process may use "
                + CpuList.of(Libc.affinity().orElseThrow()));
    assertThatThrownBy(() -> options(OptionalInt.of(3), CpuList.of(0, 1)))
        .isInstanceOf(BackendException.class)
        .hasMessage("threads=3: expected at most one for each of the processors 0,1");
  }

  @Test
  void thereIsAThreadForEachCore() {
    try (CpuBackend backend = new CpuBackend(Backends.Options.defaults())) {
      assertThat(backend.threads())
          .isEqualTo(Topology.cores())
          .isBetween(1, Runtime.getRuntime().availableProcessors());
    }
  }

  private static Backends.Options options(OptionalInt threads, CpuList cpus) {
    return new Backends.Options("cpu", threads, Optional.of(cpus), Optional.empty(), false);
  }

  @Test
  void anUnknownLevelIsAnObstacle() {
    assertThat(CpuBackend.obstacle(options(1, "avx9")))
        .hasValueSatisfying(reason -> assertThat(reason).contains("avx9").contains("avx2"));
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

  private static List<String> reachableLevels() {
    List<String> levels = CpuBackend.levels();
    return levels.stream()
        .filter(level -> CpuBackend.obstacle(options(1, level)).isEmpty())
        .toList();
  }

  private static Backends.Options options(int threads, String level) {
    return new Backends.Options(
        "cpu",
        OptionalInt.of(threads),
        level.isEmpty() ? Optional.empty() : Optional.of(level),
        false);
  }

  private static void assertClose(
      float[][] actual, float[][] expected, double bound, String what) {
    float largest = 0;
    for (float[] row : expected) {
      for (float logit : row) {
        largest = Math.max(largest, Math.abs(logit));
      }
    }
    double worst = 0;
    for (int i = 0; i < expected.length; i++) {
      for (int j = 0; j < expected[i].length; j++) {
        worst = Math.max(worst, Math.abs(actual[i][j] - expected[i][j]));
      }
    }
    assertThat(worst / largest).as("largest error of " + what).isLessThan(bound);
  }
}
