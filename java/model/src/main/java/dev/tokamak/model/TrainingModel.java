// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.tokamak.backend.CacheShape;
import dev.tokamak.backend.Program;
import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.reference.Decode;
import dev.tokamak.backend.train.Adapter;
import dev.tokamak.backend.train.Parameter;
import dev.tokamak.backend.train.Parameter.Role;
import dev.tokamak.backend.train.Parameters;
import dev.tokamak.backend.train.TrainingProgram;
import dev.tokamak.model.family.Families;
import dev.tokamak.model.format.Metadata;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;

/**
 * A model in training: its {@link Parameters}, named as in a GGUF file, those of adapters behind
 * {@code .lora_a} and {@code .lora_b}; the training program of its one {@link Transformer}; and its
 * way from and to files. The weights themselves are elsewhere, in a {@link WeightArray}.
 */
public final class TrainingModel {
  static final String A = ".lora_a";
  static final String B = ".lora_b";
  private static final double DEVIATION = 0.02;

  private final Architecture architecture;
  private final Optional<Lora> lora;
  private final Transformer transformer;
  private final Parameters parameters;
  private final Map<String, Adapter> adapters = new HashMap<>();
  private final float[] frequencyFactors;

  private TrainingModel(
      Architecture architecture, Optional<Lora> lora, float[] frequencyFactors) {
    this.architecture = architecture;
    this.lora = lora;
    this.frequencyFactors = frequencyFactors;
    Parameters.Builder builder = Parameters.builder();
    transformer =
        new Transformer(architecture, new Shapes(builder, lora.isEmpty(), frequencyFactors));
    List<Tensor> adapted =
        transformer.matrices().stream()
            .filter(m -> lora.filter(l -> l.adapts(m.name())).isPresent())
            .toList();
    for (Tensor m : adapted) {
      int rank = lora.orElseThrow().rank();
      builder.add(m.name() + A, rank, (int) m.cols(), Role.MATRIX, true);
      builder.add(m.name() + B, (int) m.rows(), rank, Role.MATRIX, true);
    }
    parameters = builder.build();
    for (Tensor m : adapted) {
      adapters.put(
          m.name(),
          new Adapter(
              parameters.get(m.name() + A),
              parameters.get(m.name() + B),
              lora.orElseThrow().factor()));
    }
  }

  /** A new model; its architecture may have no frequency factors. */
  public static TrainingModel create(Architecture architecture) {
    return new TrainingModel(architecture, Optional.empty(), new float[0]);
  }

  /**
   * The model of a file, to be trained on.
   *
   * @param lora the adapters that are trained; empty: all weights are
   * @throws dev.tokamak.model.format.FormatException if the engine does not run it
   */
  public static TrainingModel of(ModelFile file, Optional<Lora> lora) {
    Architecture architecture = Families.of(file).architecture(file);
    float[] factors =
        architecture.rotary().frequencyFactors()
            ? file.floats("rope_freqs.weight", architecture.rotary().dim() / 2)
            : new float[0];
    return new TrainingModel(architecture, lora, factors);
  }

  /** Makes a parameter of every tensor that the transformer asks for. */
  private record Shapes(Parameters.Builder builder, boolean trainable, float[] frequencyFactors)
      implements TensorSource {
    @Override
    public Tensor matrix(String name, long rows, long cols) {
      boolean table = name.equals("token_embd.weight") || name.equals("output.weight");
      return add(name, rows, cols, table ? Role.TABLE : Role.MATRIX);
    }

    @Override
    public Tensor vector(String name, int length) {
      return add(name, 1, length, Role.VECTOR);
    }

    private Tensor add(String name, long rows, long cols, Role role) {
      builder.add(name, (int) rows, (int) cols, role, trainable);
      return Tensor.ofShape(name, QuantType.F32, rows, cols);
    }

    @Override
    public float[] floats(String name, int length) {
      return frequencyFactors;
    }
  }

  public Architecture architecture() {
    return architecture;
  }

  public Optional<Lora> lora() {
    return lora;
  }

  public Parameters parameters() {
    return parameters;
  }

  /**
   * The training program.
   *
   * @param context tokens of a sequence, at most
   * @param recompute whether each layer's activations are made again in the backward pass, which
   *     costs about a third more time and leaves little but the residual stream to be kept
   */
  public TrainingProgram program(int context, boolean recompute) {
    CacheShape cache =
        new CacheShape(
            QuantType.F32, architecture.layers(), architecture.kvHeads(), architecture.headDim());
    Program program = transformer.record(cache, context, Arena.ofAuto());
    return TrainingProgram.of(program, parameters, adapters, recompute);
  }

  /**
   * Draws the weights that training starts from: of a model with adapters these, of any other all.
   * Matrices and tables are normal with a deviation of 0.02, those that write to the residual
   * stream smaller by the root of twice the layers (Radford et al. 2019); norms are one, biases
   * zero. An adapter's a is uniform within 1/sqrt(in), its b zero, as in PEFT, so that it adds
   * nothing yet. Each parameter has a random sequence of its own, by its name and the seed.
   */
  public void initialise(long seed, WeightArray weights) {
    for (Parameter p : parameters.trainable()) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment values = arena.allocate(JAVA_FLOAT, p.size());
        draw(p, seed, values);
        weights.write(p.offset(), values);
      }
    }
  }

  private void draw(Parameter p, long seed, MemorySegment values) {
    SplittableRandom random =
        new SplittableRandom(seed * 0x9e3779b97f4a7c15L + p.name().hashCode());
    boolean residual =
        p.name().endsWith("attn_output.weight") || p.name().endsWith("ffn_down.weight");
    double deviation = residual ? DEVIATION / Math.sqrt(2.0 * architecture.layers()) : DEVIATION;
    double bound = 1 / Math.sqrt(p.cols());
    for (long i = 0; i < p.size(); i++) {
      double value;
      if (p.name().endsWith(A)) {
        value = (2 * random.nextDouble() - 1) * bound;
      } else if (p.name().endsWith(B)) {
        value = 0;
      } else if (p.role() == Role.VECTOR) {
        value = p.name().endsWith(".bias") ? 0 : 1;
      } else {
        value = normal(random) * deviation;
      }
      values.setAtIndex(JAVA_FLOAT, i, (float) value);
    }
  }

  /** By Box and Muller 1958, the same on every machine and JDK. */
  private static double normal(SplittableRandom random) {
    double radius = StrictMath.sqrt(-2 * StrictMath.log(1 - random.nextDouble()));
    return radius * StrictMath.cos(2 * Math.PI * random.nextDouble());
  }

  /**
   * Reads the weights of a file, of any types, all but those of adapters.
   *
   * @throws dev.tokamak.model.format.FormatException if a tensor is missing or has another shape
   */
  public void read(ModelFile file, WeightArray weights) {
    for (Parameter p : parameters.list()) {
      if (!isAdapter(p)) {
        Tensor stored =
            p.role() == Role.VECTOR
                ? file.vector(p.name(), p.cols())
                : file.matrix(p.name(), p.rows(), p.cols());
        try (Arena arena = Arena.ofConfined()) {
          MemorySegment values = arena.allocate(JAVA_FLOAT, p.size());
          float[] row = new float[p.cols()];
          for (int r = 0; r < p.rows(); r++) {
            Decode.decode(stored.type(), stored.row(r), p.cols(), row);
            long at = (long) r * p.cols() * Float.BYTES;
            MemorySegment.copy(row, 0, values, JAVA_FLOAT, at, p.cols());
          }
          weights.write(p.offset(), values);
        }
      }
    }
  }

  static boolean isAdapter(Parameter p) {
    return p.name().endsWith(A) || p.name().endsWith(B);
  }

  /**
   * Writes the model as a GGUF file, adapters merged into their matrices. Vectors are F32; matrices
   * have the type asked for, or F16 where a row is not whole blocks of it.
   *
   * @param type F32, F16, BF16, Q8_0 or Q4_0
   * @param more keys beside those of the architecture: the tokenizer's, a name
   * @throws dev.tokamak.model.format.FormatException if a weight does not fit the type
   */
  public void write(Path path, WeightArray weights, QuantType type, Metadata more)
      throws IOException {
    new ModelWriter(this, weights).write(path, type, more);
  }

  /**
   * Writes the adapters as a LoRA file of llama.cpp, in F32.
   *
   * @throws IllegalStateException if it has none
   */
  public void writeAdapters(Path path, WeightArray weights) throws IOException {
    new ModelWriter(this, weights).writeAdapters(path);
  }

  /** The adapter of a matrix, if it has one. */
  Optional<Adapter> adapter(String matrix) {
    return Optional.ofNullable(adapters.get(matrix));
  }

  float[] frequencyFactors() {
    return frequencyFactors;
  }
}
