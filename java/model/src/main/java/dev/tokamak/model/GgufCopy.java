// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.reference.Decode;
import dev.tokamak.backend.reference.Encode;
import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.format.gguf.GgufType;
import dev.tokamak.model.format.gguf.GgufWriter;
import dev.tokamak.model.format.gguf.TensorInfo;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;

/** A model file on its way to another one, in one piece, some of its tensors changed. */
final class GgufCopy {
  private record Entry(TensorInfo info, GgufType type, Supplier<MemorySegment> data) {}

  private final ModelFile file;
  private final Path out;
  private final Backend.Progress progress;
  private final Map<String, Entry> entries = new LinkedHashMap<>();
  private Metadata more = Metadata.of("", Map.of());
  private long total;
  private long done;

  GgufCopy(ModelFile file, Path out, Backend.Progress progress) {
    this.file = file;
    this.out = out;
    this.progress = progress;
  }

  /** Metadata in place of what the model has under the same keys, or besides. */
  void set(Metadata more) {
    this.more = more;
  }

  /** A tensor as it is. */
  void add(TensorInfo info) {
    add(new Entry(info, info.type(), info::data));
  }

  /** A tensor in a type, its values from somewhere. */
  void add(TensorInfo info, QuantType type, Rows rows) {
    Supplier<MemorySegment> data =
        () ->
            encoded(
                out.getFileName().toString(),
                info.name(),
                type,
                info.rows(),
                Math.toIntExact(info.cols()),
                rows);
    add(new Entry(info, GgufType.of(type), data));
  }

  private void add(Entry entry) {
    entries.put(entry.info.name(), entry);
    total += bytes(entry);
  }

  private static long bytes(Entry entry) {
    return entry.info.elements() / entry.type.blockElements() * entry.type.blockBytes();
  }

  int tensors() {
    return entries.size();
  }

  /** Of all tensors. */
  long bytes() {
    return total;
  }

  void write() throws IOException {
    GgufWriter writer = new GgufWriter(metadata());
    for (Entry entry : entries.values()) {
      writer.add(
          entry.info.name(),
          entry.type,
          entry.info.shape(),
          () -> {
            progress.at(done, total);
            done += bytes(entry);
            return entry.data.get();
          });
    }
    writer.write(out);
  }

  /** The model's and {@code more}, without the pieces that it was in, the weights' type anew. */
  private Metadata metadata() {
    Metadata metadata = file.metadata().without("split.").with(more);
    Map<GgufType, Long> sizes = new EnumMap<>(GgufType.class);
    boolean changed = false;
    for (Entry entry : entries.values()) {
      sizes.merge(entry.type, entry.info.elements(), Long::sum);
      changed |= entry.type != entry.info.type();
    }
    if (!changed) {
      return metadata;
    }
    GgufType most =
        sizes.entrySet().stream().max(Map.Entry.comparingByValue()).orElseThrow().getKey();
    return most.quantType()
        .flatMap(ModelWriter::fileType)
        .map(type -> metadata.with("general.file_type", type))
        .orElse(metadata);
  }

  /** The rows of a matrix, one at a time, so that they need not be in memory together. */
  interface Rows {
    void read(long row, float[] to);

    /** Those of a tensor of any type. */
    static Rows of(Tensor tensor) {
      return (row, to) -> Decode.decode(tensor.type(), tensor.row(row), to.length, to);
    }
  }

  /**
   * Values in a type.
   *
   * @param file and {@code name} of the tensor, for messages
   * @throws FormatException if one does not fit the type
   */
  static MemorySegment encoded(
      String file, String name, QuantType type, long rows, int cols, Rows values) {
    MemorySegment out = Arena.ofAuto().allocate(Math.multiplyExact(rows, type.bytes(cols)));
    float[] row = new float[cols];
    for (long r = 0; r < rows; r++) {
      values.read(r, row);
      if (!Encode.encode(type, row, cols, out, r * type.bytes(cols))) {
        throw FormatException.at(
            file,
            "tensor " + name,
            "a value in row " + r + " is beyond what " + type + " holds; BF16 or F32 would do");
      }
    }
    return out;
  }
}
