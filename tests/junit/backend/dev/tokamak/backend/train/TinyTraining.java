// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.tokamak.backend.CacheShape;
import dev.tokamak.backend.Operation;
import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.backend.Program;
import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.Value;
import dev.tokamak.backend.Value.Rows;
import dev.tokamak.backend.train.Parameter.Role;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.random.RandomGenerator;

/**
 * Builds small programs for tests of training: a recorder of inference operations that makes a
 * parameter for each tensor, and random weights, batches and coefficients for them. Its arena must
 * outlive the programs.
 */
public final class TinyTraining {
  public static final int VOCABULARY = 19;
  public static final int POSITIONS = 16;
  private static final float EPSILON = 1e-5f;

  private final Arena arena;
  private final int dim;
  private final int kvHeads;
  private final int headDim;
  private final Program.Recorder recorder = Program.record();
  private final Map<String, Tensor> tensors = new LinkedHashMap<>();
  private final Map<String, Integer> ranks = new HashMap<>();

  /** Whether only adapters are trained. */
  private boolean frozen;

  public TinyTraining(Arena arena, int dim, int kvHeads, int headDim) {
    this.arena = arena;
    this.dim = dim;
    this.kvHeads = kvHeads;
    this.headDim = headDim;
  }

  /**
   * A transformer of two layers that uses every operation, with biases, a norm of each head, a tied
   * output head and adapters.
   *
   * @param ranked whether q and down products have adapters, and all else is frozen
   */
  public static TinyTraining transformer(
      Arena arena, Pairing pairing, int heads, int kvHeads, boolean ranked) {
    TinyTraining t = new TinyTraining(arena, 24, kvHeads, 8);
    Value x = t.embed();
    for (int layer = 0; layer < 2; layer++) {
      String block = "blk." + layer + ".";
      t.recorder.block();
      Value normed = t.norm(block + "norm", x);
      Value q = t.product(block + "q", normed, heads * t.headDim, true);
      Value k = t.product(block + "k", normed, kvHeads * t.headDim, true);
      Value v = t.product(block + "v", normed, kvHeads * t.headDim, false);
      t.headNorm(block + "q_norm", q);
      t.rope(q, pairing);
      t.rope(k, pairing);
      Value attended = t.attention(layer, q, k, v);
      t.add(x, t.product(block + "o", attended, t.dim, true));
      Value second = t.norm(block + "second_norm", x);
      Value gate = t.product(block + "gate", second, 40, false);
      Value up = t.product(block + "up", second, 40, false);
      t.recorder.add(new Operation.Gate(gate, up, gate));
      t.add(x, t.product(block + "down", gate, t.dim, false));
      if (ranked) {
        t.adapt(block + "q", 4);
        t.adapt(block + "down", 3);
      }
    }
    t.recorder.block();
    t.frozen = ranked;
    t.last = t.select(x);
    t.recorder.add(
        new Operation.Norm(t.last, t.tensor("last_norm", 1, t.dim), EPSILON, t.last));
    t.tied = true;
    return t;
  }

  private Value last;
  private boolean tied;

  public Value embed() {
    Value x = recorder.value("x", Rows.STEP, dim);
    recorder.add(new Operation.Embed(tensor("table", VOCABULARY, dim), x));
    return x;
  }

  public Value norm(String name, Value x) {
    Value out = recorder.value("normed", x.rows(), x.width());
    recorder.add(new Operation.Norm(x, tensor(name, 1, x.width()), EPSILON, out));
    return out;
  }

  /** In place, over groups as wide as a head. */
  public void headNorm(String name, Value x) {
    recorder.add(new Operation.Norm(x, tensor(name, 1, headDim), EPSILON, x));
  }

  public Value product(String name, Value x, int width, boolean bias) {
    Value out = recorder.value(name, x.rows(), width);
    recorder.add(
        new Operation.MatMul(
            x,
            tensor(name, width, x.width()),
            bias ? Optional.of(tensor(name + ".bias", 1, width)) : Optional.empty(),
            out));
    return out;
  }

  public void rope(Value x, Pairing pairing) {
    int rotary = headDim - 2; // the last two values of a head stay as they are
    MemorySegment data = arena.allocate(JAVA_FLOAT, (long) POSITIONS * rotary);
    for (int p = 0; p < POSITIONS; p++) {
      for (int i = 0; i < rotary / 2; i++) {
        double angle = p * Math.pow(10, -i);
        data.setAtIndex(JAVA_FLOAT, (long) p * rotary + i, (float) Math.cos(angle));
        data.setAtIndex(
            JAVA_FLOAT, (long) p * rotary + rotary / 2 + i, (float) Math.sin(angle));
      }
    }
    Tensor table = new Tensor("angles", QuantType.F32, POSITIONS, rotary, data);
    recorder.add(new Operation.Rope(x, headDim, pairing, table));
  }

  public Value attention(int layer, Value q, Value k, Value v) {
    Value out = recorder.value("attended", q.rows(), q.width());
    recorder.add(new Operation.Store(layer, k, v));
    recorder.add(new Operation.Attention(layer, q, 0.4f, out));
    return out;
  }

  public Value gate(Value gate, Value up) {
    Value out = recorder.value("gated", gate.rows(), gate.width());
    recorder.add(new Operation.Gate(gate, up, out));
    return out;
  }

  public void add(Value x, Value y) {
    recorder.add(new Operation.Add(x, y));
  }

  public Value select(Value x) {
    Value out = recorder.value("last", Rows.OUTPUTS, x.width());
    recorder.add(new Operation.Select(x, out));
    return out;
  }

  /** Gives a product an adapter of that rank. */
  public void adapt(String product, int rank) {
    ranks.put(product, rank);
  }

  /** Ends with the rows of x that have targets, and an output head of its own. */
  public TinyTraining end(Value x) {
    last = select(x);
    return this;
  }

  /** The inference program, its tensors without data. */
  public Program program() {
    Value logits = recorder.value("logits", Rows.OUTPUTS, VOCABULARY);
    Tensor head = tied ? tensors.get("table") : tensor("head", VOCABULARY, last.width());
    recorder.add(new Operation.MatMul(last, head, Optional.empty(), logits));
    return recorder.end(new CacheShape(QuantType.F32, 2, kvHeads, headDim));
  }

  /** The training program. */
  public TrainingProgram training(boolean recompute) {
    Program program = program();
    Parameters.Builder builder = Parameters.builder();
    tensors.forEach(
        (name, t) -> builder.add(name, (int) t.rows(), (int) t.cols(), role(t), !frozen));
    ranks.forEach(
        (name, rank) -> {
          Tensor t = tensors.get(name);
          builder.add(name + ".a", rank, (int) t.cols(), Role.MATRIX, true);
          builder.add(name + ".b", (int) t.rows(), rank, Role.MATRIX, true);
        });
    Parameters parameters = builder.build();
    Map<String, Adapter> adapters = new HashMap<>();
    ranks.forEach(
        (name, rank) ->
            adapters.put(
                name,
                new Adapter(
                    parameters.get(name + ".a"), parameters.get(name + ".b"), 2f / rank)));
    return TrainingProgram.of(program, parameters, adapters, recompute);
  }

  private static Role role(Tensor tensor) {
    if (tensor.rows() == 1) {
      return Role.VECTOR;
    }
    boolean table = tensor.name().equals("table") || tensor.name().equals("head");
    return table ? Role.TABLE : Role.MATRIX;
  }

  private Tensor tensor(String name, int rows, int cols) {
    return tensors.computeIfAbsent(
        name, n -> Tensor.ofShape(n, QuantType.F32, rows, cols));
  }

  /** Random weights: vectors around one, matrices of about unit size over the root of a row. */
  public static float[] weights(Parameters parameters, RandomGenerator random) {
    float[] weights = new float[(int) parameters.size()];
    for (Parameter p : parameters.list()) {
      for (int i = 0; i < p.size(); i++) {
        double value = random.nextGaussian() / Math.sqrt(p.cols());
        weights[(int) p.offset() + i] =
            (float) (p.role() == Role.VECTOR ? 1 + value : value);
      }
    }
    return weights;
  }

  /** Sequences of 5, 1 and 7 rows, about half of the rows with a target. */
  public static void fill(TrainingBatch batch, RandomGenerator random) {
    batch.clear();
    for (int length : new int[] {5, 1, 7}) {
      batch.beginSequence();
      for (int i = 0; i < length; i++) {
        batch.add(random.nextInt(VOCABULARY));
        if (i == length - 1 || random.nextBoolean()) {
          batch.target(random.nextInt(VOCABULARY));
        }
      }
    }
  }

  /** Room for {@link #fill}, and a little more. */
  public static TrainingShape shape(TrainingShape.Arithmetic arithmetic) {
    return new TrainingShape(16, 14, arithmetic);
  }

  /** Random coefficients, of both signs. */
  public static void coefficients(TrainingBatch batch, RandomGenerator random) {
    for (int o = 0; o < batch.outputs(); o++) {
      batch.coefficient(o, random.nextGaussian());
    }
  }

  /** An array of a replay's state. */
  public static float[] read(TrainingReplay replay, TrainingReplay.State state, long floats) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment segment = arena.allocate(JAVA_FLOAT, floats);
      replay.read(state, 0, segment);
      return segment.toArray(JAVA_FLOAT);
    }
  }

  /** Sets an array of a replay's state. */
  public static void write(TrainingReplay replay, TrainingReplay.State state, float[] floats) {
    try (Arena arena = Arena.ofConfined()) {
      replay.write(state, 0, arena.allocateFrom(JAVA_FLOAT, floats));
    }
  }
}
