// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Backends;
import dev.tokamak.backend.Batch;
import dev.tokamak.backend.CacheShape;
import dev.tokamak.backend.Limits;
import dev.tokamak.backend.Operation;
import dev.tokamak.backend.Program;
import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Replay;
import dev.tokamak.backend.Roofline;
import dev.tokamak.backend.Roofline.Arithmetic;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.reference.ReferenceBackend;
import dev.tokamak.cli.Console;
import dev.tokamak.cli.StandardOutput;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A kernel that is wrong is found, and not timed. */
class WrongKernelTest {
  private static final String KERNELS = "^(gate|matmul|attention)/";

  @TempDir private Path folder;

  /** The reference with one operation damaged. */
  private static final class Damaged implements Backend {
    private final ReferenceBackend whole = new ReferenceBackend(Backends.Options.defaults());
    private final String operation;
    private final Consumer<MemorySegment> damage;
    private int prepared;

    Damaged(String operation, Consumer<MemorySegment> damage) {
      this.operation = operation;
      this.damage = damage;
    }

    @Override
    public String name() {
      return "fake";
    }

    @Override
    public String variant() {
      return "fake";
    }

    @Override
    public String description() {
      return "for tests";
    }

    @Override
    public Weights load(List<Tensor> matrices, Progress progress) {
      return whole.load(matrices, progress);
    }

    @Override
    public OptionalDouble yardstickSeconds(QuantType type, int rows, long cols, long outDim) {
      return OptionalDouble.of(1);
    }

    @Override
    public Optional<Roofline> roofline() {
      return Optional.of(new Roofline(1e15, 1e12, 0, 9));
    }

    @Override
    public Arithmetic arithmetic(Operation asked, CacheShape cache) {
      return asked instanceof Operation.MatMul ? Arithmetic.BFLOAT16_X3 : Arithmetic.FLOAT32;
    }

    @Override
    public Optional<String> yardstickObstacle() {
      return Optional.of("it is elsewhere");
    }

    @Override
    public boolean emulated() {
      return true;
    }

    @Override
    public Replay prepare(Program program, Weights weights, Limits limits) {
      Replay replay = whole.prepare(program, weights, limits);
      boolean hit =
          program.operations().stream().map(Operation::name).anyMatch(operation::equals);
      prepared += hit ? 1 : 0;
      return new Replay() {
        @Override
        public Batch batch() {
          return replay.batch();
        }

        @Override
        public void step() {
          replay.step();
          if (hit) {
            damage.accept(replay.logits());
          }
        }

        @Override
        public MemorySegment logits() {
          return replay.logits();
        }

        @Override
        public long bytes() {
          return replay.bytes();
        }

        @Override
        public void close() {
          replay.close();
        }
      };
    }

    @Override
    public void close() {}
  }

  private record Result(int status, String out, String err) {
    JsonNode json() {
      return new JsonMapper().readTree(out);
    }
  }

  private Result run(Backend backend, String... more) throws IOException {
    Path shapes =
        Files.writeString(
            folder.resolve("tiny.shapes"),
            """
            rows 7
            types F32
            caches F32
            contexts 20
            model m hidden=64 ffn=64 heads=4 kv_heads=4 head_dim=16 vocab=64 rope=half_split \
            head_norm=no
            """);
    var out = new ByteArrayOutputStream();
    var err = new ByteArrayOutputStream();
    var console =
        new Console(
            new ByteArrayInputStream(new byte[0]),
            new StandardOutput(out),
            new PrintStream(err, true, StandardCharsets.UTF_8),
            false,
            false);
    var line =
        new CommandLine(
            new BenchKernels(console, _ -> new Backends.Choice(backend, "for a test")));
    line.setExecutionExceptionHandler(
        (e, _, _) -> {
          console.err().println(e.getMessage());
          return 1;
        });
    String[] arguments = {
      "--shapes", shapes.toString(), "--filter", KERNELS, "-r", "1", "--seed", "5"
    };
    String[] all = new String[arguments.length + more.length];
    System.arraycopy(arguments, 0, all, 0, arguments.length);
    System.arraycopy(more, 0, all, arguments.length, more.length);
    int status = line.execute(all);
    console.out().flush();
    return new Result(
        status, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  private static void change(MemorySegment logits, long index, float by) {
    logits.setAtIndex(JAVA_FLOAT, index, logits.getAtIndex(JAVA_FLOAT, index) + by);
  }

  /** One value of one row a little off: of any row, the last too. */
  @Test
  void aWrongValueIsReportedAndNotTimed() throws IOException {
    for (String operation : List.of("gate", "matmul", "attention")) {
      for (int index : new int[] {0, 6 * 64 + 63}) {
        var backend = new Damaged(operation, logits -> change(logits, index, 0.01f));
        Result result = run(backend, "--json");
        assertThat(result.status).isEqualTo(1);
        assertThat(result.err).endsWith("kernels failed: " + failed(result, operation) + "\n");
        assertThat(backend.prepared).as("prepared once, for the comparison").isEqualTo(1);
      }
    }
  }

  /** The name of the one failed row, which has no time; all others are measured. */
  private static String failed(Result result, String operation) {
    String name = "";
    for (JsonNode row : result.json().get("rows")) {
      if (row.get("kernel").asString().equals(operation)) {
        assertThat(row.get("status").asString()).isEqualTo("failed");
        assertThat(row.get("seconds").isNull()).isTrue();
        assertThat(row.get("error").asString()).matches("wrong: value \\d+ of row \\d is .*");
        name =
            operation + "/" + row.get("type").asString() + "/" + row.get("shape").asString();
      } else {
        assertThat(row.get("status").asString()).isEqualTo("measured");
      }
    }
    return name;
  }

  @Test
  void notANumberIsWrong() throws IOException {
    Result result =
        run(new Damaged("gate", logits -> logits.setAtIndex(JAVA_FLOAT, 70, Float.NaN)));
    assertThat(result.status).isEqualTo(1);
    assertThat(result.out).containsPattern("gate/f32/7x64 +FAILED: wrong: value 6 of row 1 is NaN");
  }

  @Test
  void anOperationThatTheBackendRefusesHasFailed() throws IOException {
    Result result =
        run(
            new Damaged(
                "attention",
                _ -> {
                  throw new BackendException("fake: no such kernel");
                }));
    assertThat(result.status).isEqualTo(1);
    assertThat(result.out).contains("FAILED: fake: no such kernel");
  }

  /** Two rows changed places: each holds values that are right elsewhere. */
  @Test
  void rowsThatChangedPlacesAreWrong() throws IOException {
    Result result =
        run(
            new Damaged(
                "gate",
                logits -> {
                  for (int i = 0; i < 64; i++) {
                    float value = logits.getAtIndex(JAVA_FLOAT, i);
                    logits.setAtIndex(JAVA_FLOAT, i, logits.getAtIndex(JAVA_FLOAT, 64 + i));
                    logits.setAtIndex(JAVA_FLOAT, 64 + i, value);
                  }
                }));
    assertThat(result.status).isEqualTo(1);
  }

  /** What is right is timed; the library of the maker has a column where there is one. */
  @Test
  void theYardstickHasAColumn() throws IOException {
    Result result = run(new Damaged("none", _ -> {}));
    assertThat(result.status).as(result.err).isZero();
    assertThat(result.out.lines().findFirst().orElseThrow()).endsWith("cuBLAS");
    assertThat(result.out).containsPattern("matmul/f32/7x64x64 .*x\n");
    assertThat(result.out)
        .containsPattern("matmul/f32/7x64x64 .* bfloat16_x3 ")
        .contains("9 OP/s bfloat16, 3 OP/s bfloat16_x3\n")
        .endsWith("emulated: these are times of software, not of a device\n");
    JsonNode json = run(new Damaged("none", _ -> {}), "--json").json();
    assertThat(json.get("machine").get("emulated").asBoolean()).isTrue();
    assertThat(json.get("cublas_obstacle").asString()).isEqualTo("it is elsewhere");
    for (JsonNode row : json.get("rows")) {
      assertThat(row.has("cublas_ratio")).isEqualTo(row.get("kernel").asString().equals("matmul"));
    }
  }
}
