// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format.safetensors;

import dev.tokamak.model.format.FormatException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/** An open safetensors file, mapped into memory and checked as the package page says. */
public final class SafetensorsFile implements AutoCloseable {
  private final String source;
  private final Map<String, String> metadata;
  private final Map<String, SafetensorsTensor> tensors;
  private final Arena arena;

  private SafetensorsFile(String source, SafetensorsHeader header, Arena arena) {
    this.source = source;
    this.arena = arena;
    metadata = Collections.unmodifiableMap(header.metadata());
    tensors = Collections.unmodifiableMap(header.tensors());
  }

  /**
   * Opens a file.
   *
   * @throws FormatException if it cannot be read, or is no sound safetensors file
   */
  public static SafetensorsFile open(Path path) {
    // Asked before opening: to open a pipe is to wait for a writer.
    if (!Files.isRegularFile(path)) {
      throw new FormatException(
          path + ": " + (Files.exists(path) ? "not a regular file" : "no such file")
              + ", expected a safetensors file");
    }
    Arena arena = Arena.ofShared();
    try (var channel = FileChannel.open(path, StandardOpenOption.READ)) {
      MemorySegment map = channel.map(MapMode.READ_ONLY, 0, channel.size(), arena);
      String source = path.getFileName().toString();
      return new SafetensorsFile(source, SafetensorsHeader.read(source, map), arena);
    } catch (IOException e) {
      arena.close();
      throw new FormatException(path + ": cannot be read: " + e.getMessage(), e);
    } catch (RuntimeException | Error e) {
      arena.close();
      throw e;
    }
  }

  /** The file's name, for messages. */
  public String source() {
    return source;
  }

  /** The entries of {@code __metadata__}, in the file's order. */
  public Map<String, String> metadata() {
    return metadata;
  }

  /** All tensors, in the header's order. */
  public Collection<SafetensorsTensor> tensors() {
    return tensors.values();
  }

  /**
   * A tensor that must be there.
   *
   * @throws FormatException if it is missing, or is of another type or shape
   */
  public MemorySegment require(String name, SafetensorsType type, List<Long> shape) {
    SafetensorsTensor tensor = tensors.get(name);
    if (tensor == null) {
      throw FormatException.at(source, "tensor " + name, "missing");
    }
    if (tensor.type() != type || !tensor.shape().equals(shape)) {
      throw FormatException.at(
          source,
          "tensor " + name,
          "expected " + type + " " + shape + ", found " + tensor.type() + " " + tensor.shape());
    }
    return tensor.data();
  }

  @Override
  public void close() {
    arena.close();
  }
}
