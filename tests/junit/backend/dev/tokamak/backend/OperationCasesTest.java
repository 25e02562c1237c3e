// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.backend.Value.Rows;
import dev.tokamak.backend.reference.Decode;
import dev.tokamak.testing.Seeds;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * The tables of single operations in {@code tests/cases/ops}, from Java: every backend of this
 * machine against the reference. The native runner reads the same tables with tighter bounds.
 */
class OperationCasesTest {
  /** One line of a table: its words by the names of the columns. */
  private record Case(String line, Map<String, String> words) {
    String text(String column) {
      return words.get(column);
    }

    int number(String column) {
      return Integer.parseInt(words.get(column));
    }

    QuantType type() {
      return QuantType.valueOf(words.getOrDefault("type", "F32"));
    }

    /** Error allowed, as a share of the largest value: what rounding the cache costs. */
    double bound(String backend) {
      boolean attention = text("op").equals("attention");
      boolean outlier = "outlier".equals(words.get("values"));
      if (backend.equals("cuda") && !attention) {
        return 1e-5; // float32 precision, whatever the type
      }
      return switch (type()) {
        case F32, F16 ->
            attention && (outlier || type() == QuantType.F16)
                ? 1e-2
                : attention && backend.equals("cuda") ? 1e-4 : 1e-5; // scores from bfloat16 parts
        case BF16 -> 2e-2;
        default -> attention && outlier ? 1e-1 : 3e-2;
      };
    }
  }

  /**
   * What an operation wrote for all rows.
   *
   * @param allowed error of each value; empty: the case's bound holds for all
   */
  private record Output(float[] values, double[] allowed) {}

  private static final List<String> FAST =
      Backends.probe(Backends.Options.defaults()).stream()
          .filter(probe -> probe.obstacle().isEmpty() && !probe.name().equals("reference"))
          .map(Backends.Probe::name)
          .toList();

  @TestFactory
  List<DynamicTest> cases() throws IOException {
    List<DynamicTest> tests = new ArrayList<>();
    for (Case c : read()) {
      for (String backend : FAST) {
        tests.add(
            DynamicTest.dynamicTest(
                backend + ": " + c.line(), () -> Seeds.check(r -> compare(c, backend, r))));
      }
    }
    assertThat(tests.size()).isGreaterThan(100 * FAST.size());
    return tests;
  }

  private static List<Case> read() throws IOException {
    List<Case> cases = new ArrayList<>();
    try (Stream<Path> tables = Files.list(folder())) {
      for (Path table : tables.sorted().toList()) {
        List<String> lines = Files.readAllLines(table);
        String[] columns = lines.getFirst().substring(1).trim().split(" +");
        for (String line : lines) {
          if (line.isBlank() || line.startsWith("#")) {
            continue;
          }
          String[] words = line.trim().split(" +");
          Map<String, String> named = new HashMap<>();
          for (int i = 0; i < columns.length; i++) {
            named.put(columns[i], words[i]);
          }
          // Weight bytes that are not random are the native runner's matter.
          if (named.getOrDefault("fill", "random").equals("random")) {
            cases.add(new Case(line.replaceAll(" +", " "), named));
          }
        }
      }
    }
    return cases;
  }

  private static Path folder() {
    for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
      Path folder = at.resolve("tests/cases/ops");
      if (Files.isDirectory(folder)) {
        return folder;
      }
    }
    throw new AssertionError("tests/cases/ops: not found above the module");
  }

  private static void compare(Case c, String backend, RandomGenerator random) {
    // Both runs draw the same operands.
    long seed = random.nextLong();
    Optional<Output> expected = run(c, "reference", backend, seed);
    Optional<Output> actual = run(c, backend, backend, seed);
    if (expected.isEmpty()) {
      assertThat(actual).as("the reference is not finite").isEmpty();
      return;
    }
    if (actual.isEmpty()) {
      assertThat(c.text("values")).as("only extreme values may overflow").isEqualTo("extreme");
      return;
    }
    float[] right = expected.get().values();
    double[] allowed = expected.get().allowed();
    double largest = Double.MIN_NORMAL;
    for (float value : right) {
      largest = Math.max(largest, Math.abs(value));
    }
    for (int i = 0; i < right.length; i++) {
      double error = Math.abs((double) actual.get().values()[i] - right[i]);
      assertThat(error)
          .as("error of value %d, which is %s", i, right[i])
          .isLessThanOrEqualTo(allowed.length > 0 ? allowed[i] : c.bound(backend) * largest);
    }
  }

  /**
   * The operation's output for all rows; empty: it was not finite.
   *
   * @param compared the backend that the allowed errors are for
   */
  private static Optional<Output> run(Case c, String backend, String compared, long seed) {
    try (Arena arena = Arena.ofConfined();
        Backend open =
            Backends.open(
                    new Backends.Options(backend, OptionalInt.of(2), Optional.empty(), false))
                .backend()) {
      Recording recording = new Recording(c, compared, new SplittableRandom(seed), arena);
      int rows = c.number("rows");
      int pages = (rows + CacheShape.PAGE_TOKENS - 1) / CacheShape.PAGE_TOKENS;
      Limits limits = new Limits(rows, rows, 1, pages, pages);
      try (Backend.Weights weights = open.load(recording.matrices, Backend.Progress.none());
          Replay replay = open.prepare(recording.program, weights, limits)) {
        for (int page = 0; page < pages; page++) {
          replay.batch().page(0, page, pages - 1 - page);
        }
        for (int row = 0; row < rows; row++) {
          replay.batch().add(row, row, 0);
          replay.batch().wantLogits();
        }
        replay.step();
        float[] out = new float[rows * recording.program.logits().width()];
        MemorySegment.copy(replay.logits(), JAVA_FLOAT, 0, out, 0, out.length);
        return Optional.of(new Output(out, recording.allowed));
      } catch (NotFiniteException e) {
        return Optional.empty();
      }
    }
  }

  /** A program that looks the operands up in tables, does the operation, and selects all rows. */
  private static final class Recording {
    private final Case c;
    private final boolean rounds;
    private final RandomGenerator random;
    private final Arena arena;
    private final RandomTensors tensors;
    private final Program.Recorder recorder = Program.record();
    private final List<Tensor> matrices = new ArrayList<>();
    private final Program program;
    private double[] allowed = {};
    private CacheShape cache = new CacheShape(QuantType.F32, 1, 1, 1);

    Recording(Case c, String compared, RandomGenerator random, Arena arena) {
      this.c = c;
      rounds = !compared.equals("cuda");
      this.random = random;
      this.arena = arena;
      tensors = new RandomTensors(random, arena);
      Value out = record();
      Value all = recorder.value("all", Rows.OUTPUTS, out.width());
      recorder.add(new Operation.Select(out, all));
      program = recorder.end(cache);
    }

    private Value record() {
      return switch (c.text("op")) {
        case "add" -> {
          Value x = input(c.number("width"));
          recorder.add(new Operation.Add(x, input(c.number("width"))));
          yield x;
        }
        case "attention" -> attention();
        case "embed" -> {
          int vocabulary = Math.max(c.number("vocab"), c.number("rows"));
          Tensor table = tensors.matrix("table", c.type(), vocabulary, c.number("dim"));
          if (c.text("layout").equals("packed")) {
            matrices.add(table);
          }
          Value x = recorder.value("x", Rows.STEP, c.number("dim"));
          recorder.add(new Operation.Embed(table, x));
          yield x;
        }
        case "gate" -> {
          Value gate = input(c.number("width"));
          recorder.add(new Operation.Gate(gate, input(c.number("width")), gate));
          yield gate;
        }
        case "matmul" -> matmul();
        case "norm" -> {
          Value x = input(c.number("width"));
          Tensor weight = tensors.vector("weight", c.number("dim"));
          float epsilon = Float.parseFloat(c.text("epsilon"));
          recorder.add(new Operation.Norm(x, weight, epsilon, x));
          yield x;
        }
        case "rope" -> {
          Value x = input(c.number("heads") * c.number("head_dim"));
          Tensor table =
              tensors.matrix("angles", QuantType.F32, c.number("rows"), c.number("rotary_dim"));
          Pairing pairing = Pairing.valueOf(c.text("pairing").toUpperCase(Locale.ROOT));
          recorder.add(new Operation.Rope(x, c.number("head_dim"), pairing, table));
          yield x;
        }
        case "select" -> input(c.number("width"));
        default -> throw new AssertionError("operation " + c.text("op") + " is not known here");
      };
    }

    private Value attention() {
      int headDim = c.number("head_dim");
      cache = new CacheShape(c.type(), 1, c.number("kv_heads"), headDim);
      Value q = input(c.number("heads") * headDim);
      Value out = recorder.value("out", Rows.STEP, q.width());
      recorder.add(new Operation.Store(0, input(cache.width()), input(cache.width())));
      recorder.add(new Operation.Attention(0, q, (float) (1 / Math.sqrt(headDim)), out));
      return out;
    }

    private Value matmul() {
      Tensor weight =
          tensors.matrix("weight", c.type(), c.number("out_dim"), c.number("cols"));
      matrices.add(weight);
      Optional<Tensor> bias =
          c.text("bias").equals("yes")
              ? Optional.of(tensors.vector("bias", c.number("out_dim")))
              : Optional.empty();
      Value out = recorder.value("out", Rows.STEP, c.number("out_dim"));
      float[] x = values(c.number("cols"));
      recorder.add(new Operation.MatMul(input(x), weight, bias, out));
      allowed = allowed(x, weight);
      return out;
    }

    /**
     * What each product may be off: the sum of how much rounding moves its terms. Activations of 8
     * bits are half a step off, a step being a 127th of the largest of 32; BF16 ones 2^-8 of
     * themselves; cuda rounds nothing. A share of the product itself would not do: terms cancel,
     * their errors do not.
     */
    private double[] allowed(float[] x, Tensor weight) {
      int cols = c.number("cols");
      int outDim = c.number("out_dim");
      float[] w = new float[outDim * cols];
      Decode.decode(weight.type(), weight.data(), w.length, w);
      double[] allowed = new double[c.number("rows") * outDim];
      for (int i = 0; i < allowed.length; i++) {
        int row = i / outDim * cols;
        int weights = i % outDim * cols;
        // Denormals are rounded to whole ones, cuda's to bfloat16's; a bias is of about 1.
        double denormal = rounds ? Float.MIN_VALUE : 0x1p-133;
        allowed[i] = cols * denormal + (c.text("bias").equals("yes") ? 1e-6 : 0);
        for (int col = 0; col < cols; col++) {
          double rounding =
              switch (rounds ? weight.type() : QuantType.F32) {
                case F32, F16 -> 0;
                case BF16 -> Math.abs(x[row + col]) * 0x1p-8;
                default -> {
                  float largest = 0;
                  for (int j = col / 32 * 32; j < col / 32 * 32 + 32; j++) {
                    largest = Math.max(largest, Math.abs(x[row + j]));
                  }
                  yield largest / 254;
                }
              };
          // 1e-5: the sums in float32, here and there; 2^-16: what two bfloat16 parts leave out
          double sums = rounds ? 1e-5 : 1e-5 + 0x1p-16;
          allowed[i] += Math.abs(w[weights + col]) * (rounding + sums * Math.abs(x[row + col]));
        }
      }
      return allowed;
    }

    private Value input(int width) {
      return input(values(width));
    }

    /** A value filled with these, row r being row r of a table. */
    private Value input(float[] values) {
      int rows = c.number("rows");
      MemorySegment data = arena.allocate(4L * values.length, 64);
      MemorySegment.copy(values, 0, data, JAVA_FLOAT_UNALIGNED, 0, values.length);
      int width = values.length / rows;
      Value x = recorder.value("x", Rows.STEP, width);
      recorder.add(
          new Operation.Embed(new Tensor("input", QuantType.F32, rows, width, data), x));
      return x;
    }

    /** What the column {@code values} says, [rows, width]. */
    private float[] values(int width) {
      float[] made = new float[c.number("rows") * width];
      for (int i = 0; i < made.length; i++) {
        made[i] = value(i);
      }
      if (c.text("values").equals("nan")) {
        made[made.length / 2] = Float.NaN;
      }
      return made;
    }

    private float value(long index) {
      double normal = random.nextGaussian();
      return switch (c.text("values")) {
        case "normal", "nan" -> (float) normal;
        case "outlier" -> (float) (index % 97 == 5 ? 1000 * normal : normal);
        case "extreme" -> (float) (normal * Float.MAX_VALUE / 8);
        case "denormal" -> (float) (normal * Float.MIN_NORMAL / 8);
        case "zero" -> 0;
        default -> throw new AssertionError("values " + c.text("values") + " are not known here");
      };
    }
  }
}
