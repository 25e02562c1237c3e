// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.train.Adapter;
import dev.tokamak.backend.train.Parameter;
import dev.tokamak.backend.train.Parameter.Role;
import dev.tokamak.model.family.Families;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.format.gguf.GgufType;
import dev.tokamak.model.format.gguf.GgufWriter;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/** Trained weights on their way out: to a GGUF file, or to a transformer in memory. */
final class ModelWriter {
  private final TrainingModel model;
  private final WeightArray weights;

  ModelWriter(TrainingModel model, WeightArray weights) {
    this.model = model;
    this.weights = weights;
  }

  void write(Path path, QuantType type, Metadata more) throws IOException {
    Metadata metadata =
        Families.metadata(model.architecture())
            .with("general.file_type", typeNumber(type))
            .with(more);
    GgufWriter writer = new GgufWriter(metadata);
    for (Parameter p : model.parameters().list()) {
      if (!TrainingModel.isAdapter(p)) {
        QuantType stored = storedAs(p, type);
        writer.add(p.name(), GgufType.of(stored), shape(p), () -> encoded(path, p, stored));
      }
    }
    if (model.frequencyFactors().length > 0) {
      float[] factors = model.frequencyFactors();
      writer.add(
          "rope_freqs.weight",
          GgufType.F32,
          new long[] {factors.length},
          () -> MemorySegment.ofArray(factors));
    }
    writer.write(path);
  }

  private static int typeNumber(QuantType type) {
    return fileType(type)
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    type + ": expected F32, F16, BF16, Q8_0 or Q4_0"));
  }

  /** {@code general.file_type} of a file of mostly that type, as llama.cpp numbers it. */
  static Optional<Integer> fileType(QuantType type) {
    return switch (type) {
      case F32 -> Optional.of(0);
      case F16 -> Optional.of(1);
      case Q4_0 -> Optional.of(2);
      case Q8_0 -> Optional.of(7);
      case BF16 -> Optional.of(32);
      case Q4_K, Q5_K, Q6_K -> Optional.empty(); // mixtures of several types
    };
  }

  private static QuantType storedAs(Parameter p, QuantType type) {
    if (p.role() == Role.VECTOR) {
      return QuantType.F32;
    }
    return p.cols() % type.blockElements() == 0 ? type : QuantType.F16;
  }

  /** Innermost dimension first. */
  private static long[] shape(Parameter p) {
    return p.role() == Role.VECTOR ? new long[] {p.cols()} : new long[] {p.cols(), p.rows()};
  }

  private MemorySegment encoded(Path path, Parameter p, QuantType type) {
    return GgufCopy.encoded(
        path.getFileName().toString(), p.name(), type, p.rows(), p.cols(), rows(p));
  }

  /** The values of a parameter, its adapter added. */
  private GgufCopy.Rows rows(Parameter p) {
    MemorySegment values = raw(p);
    Optional<LowRank> adapter = model.adapter(p.name()).map(this::lowRank);
    return (row, to) -> {
      MemorySegment.copy(values, JAVA_FLOAT, row * p.cols() * Float.BYTES, to, 0, p.cols());
      adapter.ifPresent(one -> one.addTo(row, to));
    };
  }

  private LowRank lowRank(Adapter adapter) {
    MemorySegment b = raw(adapter.b());
    for (long i = 0; i < adapter.b().size(); i++) {
      b.setAtIndex(JAVA_FLOAT, i, b.getAtIndex(JAVA_FLOAT, i) * adapter.factor());
    }
    return new LowRank(tensor(adapter.a(), raw(adapter.a())), tensor(adapter.b(), b));
  }

  private static Tensor tensor(Parameter p, MemorySegment values) {
    return new Tensor(p.name(), QuantType.F32, p.rows(), p.cols(), values);
  }

  private MemorySegment raw(Parameter p) {
    MemorySegment values = Arena.ofAuto().allocate(JAVA_FLOAT, p.size());
    weights.read(p.offset(), values);
    return values;
  }

  void writeAdapters(Path path) throws IOException {
    Lora lora = model.lora().orElseThrow(() -> new IllegalStateException("no adapters"));
    Map<String, Object> keys = new LinkedHashMap<>();
    keys.put("general.architecture", model.architecture().family());
    keys.put("general.type", "adapter");
    keys.put("adapter.type", "lora");
    keys.put("adapter.lora.alpha", (float) lora.alpha());
    GgufWriter writer = new GgufWriter(Metadata.of(path.getFileName().toString(), keys));
    for (Parameter p : model.parameters().list()) {
      if (TrainingModel.isAdapter(p)) {
        writer.add(p.name(), GgufType.F32, shape(p), () -> raw(p));
      }
    }
    writer.write(path);
  }

  /** The model's tensors in memory, in F32, merged. */
  TensorSource source(Arena arena) {
    return new TensorSource() {
      @Override
      public Tensor matrix(String name, long rows, long cols) {
        Parameter p = model.parameters().get(name);
        MemorySegment data = arena.allocate(p.size() * Float.BYTES, 64);
        if (model.adapter(name).isEmpty()) {
          weights.read(p.offset(), data);
        } else {
          GgufCopy.Rows values = rows(p);
          float[] row = new float[p.cols()];
          for (int r = 0; r < p.rows(); r++) {
            values.read(r, row);
            long at = (long) r * p.cols() * Float.BYTES;
            MemorySegment.copy(row, 0, data, JAVA_FLOAT, at, p.cols());
          }
        }
        return new Tensor(name, QuantType.F32, rows, cols, data);
      }

      @Override
      public Tensor vector(String name, int length) {
        return matrix(name, 1, length);
      }

      @Override
      public float[] floats(String name, int length) {
        return model.frequencyFactors();
      }
    };
  }
}
