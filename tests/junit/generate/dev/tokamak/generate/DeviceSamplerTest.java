// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.tokamak.testing.Seeds;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.random.RandomGenerator;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The kernels that sample, on the emulated device, against the sampler and the distribution. */
@SuppressWarnings("restricted") // it calls the C ABI itself: the binding is not open to this module
class DeviceSamplerTest {
  private static final int ROWS = 24;
  private static final int MOST_RECENT = 100;
  private static final int SAMPLER_BYTES = 80; // of a tk_cuda_sampler

  /** What one row of a step is given. */
  private record Row(SamplerOptions options, float[] logits, int[] history) {}

  /** The library's functions. Memory of the emulated device is memory of this process. */
  private static final class Device implements AutoCloseable {
    private final Arena arena = Arena.ofConfined();
    private final SymbolLookup library;
    private final List<Long> taken = new ArrayList<>();

    Device(Path file) {
      library = SymbolLookup.libraryLookup(file, arena);
    }

    MethodHandle function(String name, MemoryLayout result, MemoryLayout... arguments) {
      return Linker.nativeLinker()
          .downcallHandle(library.findOrThrow(name), FunctionDescriptor.of(result, arguments));
    }

    MemorySegment allocate(long bytes) throws Throwable {
      long address = (long) function("tk_emulated_allocate", JAVA_LONG, JAVA_LONG).invoke(bytes);
      assertThat(address).isNotZero();
      taken.add(address);
      return MemorySegment.ofAddress(address).reinterpret(bytes);
    }

    @Override
    public void close() {
      try {
        MethodHandle free = function("tk_emulated_free", JAVA_INT, JAVA_LONG);
        for (long address : taken) {
          assertThat((int) free.invoke(address)).as("nothing is written beside").isZero();
        }
      } catch (Throwable e) {
        throw new AssertionError(e);
      } finally {
        arena.close();
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 97, 2003})
  void theDeviceChoosesWhatTheSamplerDoes(int vocabulary) {
    Path folder = Path.of(System.getProperty("tokamak.cuda.emulation", "none"));
    Path library = folder.resolve("libjniCudaNative.so").toAbsolutePath();
    assumeTrue(Files.isRegularFile(library), "no library of the emulated device: " + library);
    Seeds.check(
        random -> {
          List<Row> rows = new ArrayList<>();
          for (int i = 0; i < ROWS; i++) {
            rows.add(
                new Row(
                    options(random, vocabulary),
                    logits(random, vocabulary, i % 3),
                    history(random, vocabulary)));
          }
          try (Device device = new Device(library)) {
            compare(device, rows, vocabulary);
          }
        });
  }

  private static float[] logits(RandomGenerator random, int vocabulary, int kind) {
    float[] logits = new float[vocabulary];
    for (int i = 0; i < vocabulary; i++) {
      double logit = random.nextGaussian() * (kind == 0 ? 10 : 3);
      logits[i] = (float) (kind == 2 ? Math.rint(logit) : logit);
    }
    return logits;
  }

  private static int[] history(RandomGenerator random, int vocabulary) {
    return random.ints(random.nextInt(1, MOST_RECENT), 0, Math.min(vocabulary, 50)).toArray();
  }

  private static SamplerOptions options(RandomGenerator random, int vocabulary) {
    boolean penalties = random.nextBoolean();
    return new SamplerOptions(
        random.nextInt(6) == 0 ? 0 : random.nextDouble(0.2, 3),
        random.nextBoolean() ? random.nextInt(2 * vocabulary) : 0,
        random.nextBoolean() ? random.nextDouble() : 1,
        random.nextBoolean() ? random.nextDouble(0.2) : 0,
        random.nextBoolean() ? random.nextDouble() : 1,
        penalties ? random.nextDouble(0.5, 2) : 1,
        penalties ? random.nextDouble(-1, 1) : 0,
        penalties ? random.nextDouble(-0.1, 0.2) : 0,
        random.nextInt(-1, 20),
        random.nextLong());
  }

  private static void compare(Device device, List<Row> rows, int vocabulary) throws Throwable {
    int top = Math.min(20, vocabulary);
    MemorySegment logits = device.allocate(4L * ROWS * vocabulary);
    MemorySegment samplers = device.allocate((long) ROWS * SAMPLER_BYTES);
    MemorySegment recent = device.allocate(4L * ROWS * MOST_RECENT);
    MemorySegment counts = device.allocate(8);
    MemorySegment tokens = device.allocate(4L * ROWS);
    MemorySegment chosen = device.allocate(8L * ROWS);
    MemorySegment topTokens = device.allocate(4L * ROWS * top);
    MemorySegment topLogprobs = device.allocate(8L * ROWS * top);
    long bytes =
        (long)
            device
                .function("tk_cuda_sample_bytes", JAVA_LONG, JAVA_INT, JAVA_LONG)
                .invoke(ROWS, (long) vocabulary);
    MemorySegment scratch = device.allocate(bytes);
    counts.setAtIndex(JAVA_INT, 0, ROWS);
    counts.setAtIndex(JAVA_INT, 1, ROWS);
    for (int i = 0; i < ROWS; i++) {
      write(rows.get(i), i, logits, samplers, recent);
    }
    long unused = counts.address(); // sampling reads no other part of a step
    long step =
        (long)
            device
                .function(
                    "tk_cuda_step_create",
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_INT,
                    JAVA_INT,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_INT,
                    JAVA_INT)
                .invoke(0L, ROWS, ROWS, unused, unused, unused, unused, unused, unused, 1, 1);
    assertThat(step).isNotZero();
    int sampled =
        (int)
            device
                .function(
                    "tk_cuda_sample",
                    JAVA_INT,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG)
                .invoke(
                    step,
                    logits.address(),
                    (long) vocabulary,
                    samplers.address(),
                    recent.address(),
                    (long) MOST_RECENT,
                    scratch.address(),
                    tokens.address());
    assertThat(sampled).isZero();
    int scored =
        (int)
            device
                .function(
                    "tk_cuda_logprobs",
                    JAVA_INT,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_INT,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG)
                .invoke(
                    step,
                    logits.address(),
                    (long) vocabulary,
                    tokens.address(),
                    top,
                    scratch.address(),
                    chosen.address(),
                    topTokens.address(),
                    topLogprobs.address());
    assertThat(scored).isZero();
    Sampler sampler = new Sampler(vocabulary);
    Distribution distribution = new Distribution(vocabulary);
    for (int i = 0; i < ROWS; i++) {
      Row row = rows.get(i);
      int token = tokens.getAtIndex(JAVA_INT, i);
      assertThat(token)
          .as("row %d of %d tokens: %s", i, vocabulary, row.options().settings())
          .isEqualTo(
              sampler.sample(row.options(), row.logits(), row.history(), row.history().length));
      distribution.set(row.logits());
      assertThat(chosen.getAtIndex(JAVA_DOUBLE, i))
          .isCloseTo(distribution.logProbability(token), within(1e-11));
      List<Choice> likeliest = distribution.top(top);
      for (int rank = 0; rank < top; rank++) {
        long at = (long) i * top + rank;
        assertThat(topTokens.getAtIndex(JAVA_INT, at)).isEqualTo(likeliest.get(rank).id());
        assertThat(topLogprobs.getAtIndex(JAVA_DOUBLE, at))
            .isCloseTo(likeliest.get(rank).logProbability(), within(1e-11));
      }
    }
    Linker.nativeLinker()
        .downcallHandle(
            device.library.findOrThrow("tk_cuda_step_free"), FunctionDescriptor.ofVoid(JAVA_LONG))
        .invoke(step);
  }

  private static void write(
      Row row, int i, MemorySegment logits, MemorySegment samplers, MemorySegment recent) {
    int[] history = row.history();
    SamplerOptions options = row.options();
    int last = options.repeatLastN();
    int count = last < 0 ? history.length : Math.min(last, history.length);
    MemorySegment.copy(
        row.logits(), 0, logits, JAVA_FLOAT, 4L * i * row.logits().length, row.logits().length);
    MemorySegment.copy(
        history, history.length - count, recent, JAVA_INT, 4L * i * MOST_RECENT, count);
    double[] reals = {
      options.temp(),
      options.topP(),
      options.minP(),
      options.typical(),
      options.repeatPenalty(),
      options.presencePenalty(),
      options.frequencyPenalty()
    };
    long at = (long) i * SAMPLER_BYTES;
    MemorySegment.copy(reals, 0, samplers, JAVA_DOUBLE, at, reals.length);
    samplers.set(JAVA_LONG, at + 56, options.seed());
    samplers.set(JAVA_LONG, at + 64, history.length);
    samplers.set(JAVA_INT, at + 72, options.topK());
    samplers.set(JAVA_INT, at + 76, count);
  }
}
