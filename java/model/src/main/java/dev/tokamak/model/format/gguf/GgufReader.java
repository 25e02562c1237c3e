// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format.gguf;

import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.format.MetadataValue;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;

/** Reads one GGUF file by the byte table on the package page, and believes nothing in it. */
final class GgufReader {
  static final String ALIGNMENT_KEY = "general.alignment";
  static final int DEFAULT_ALIGNMENT = 32;
  static final int MAX_KEY_BYTES = 65_535;
  static final int MAX_TENSOR_NAME_BYTES = 64;
  static final int MAX_DIMENSIONS = 4;

  private static final int MAGIC = 0x4655_4747; // "GGUF" read as a little-endian integer
  private static final int MIN_KEY_BYTES = 14; // name of one letter, type, one byte of value
  private static final int MIN_TENSOR_BYTES = 33; // name of one letter, one dimension

  private final String file;
  private final MemorySegment map;
  private final HeaderCursor cursor;

  private GgufReader(String file, MemorySegment map) {
    this.file = file;
    this.map = map;
    this.cursor = new HeaderCursor(file, map);
  }

  /** Maps and reads a file; the mapping lives as long as the arena. */
  static GgufPiece read(Path path, Arena arena) {
    MemorySegment map = map(path, arena);
    return new GgufReader(path.getFileName().toString(), map).read(path);
  }

  private static MemorySegment map(Path path, Arena arena) {
    // Asked before opening: to open a pipe is to wait for a writer.
    if (Files.isDirectory(path)) {
      throw new FormatException(path + ": a directory, expected a GGUF file");
    }
    if (!Files.exists(path)) {
      throw new FormatException(path + ": no such file");
    }
    if (!Files.isRegularFile(path)) {
      throw new FormatException(path + ": not a regular file, expected a GGUF file");
    }
    try (var channel = FileChannel.open(path, StandardOpenOption.READ)) {
      if (channel.size() == 0) {
        throw new FormatException(path + ": empty file, expected a GGUF file");
      }
      return channel.map(MapMode.READ_ONLY, 0, channel.size(), arena);
    } catch (AccessDeniedException e) {
      throw new FormatException(path + ": no permission to read it", e);
    } catch (ClosedByInterruptException e) {
      throw new FormatException(path + ": cannot be read: the thread was interrupted", e);
    } catch (IOException e) {
      throw new FormatException(path + ": cannot be read: " + e.getMessage(), e);
    }
  }

  private GgufPiece read(Path path) {
    int version = version();
    int tensorCount = cursor.count("tensor count", MIN_TENSOR_BYTES);
    int keyCount = cursor.count("key count", MIN_KEY_BYTES);
    Metadata metadata = metadata(keyCount);
    int alignment = alignment(metadata);
    List<TensorInfo> tensors = tensors(tensorCount, alignment);
    return new GgufPiece(path, version, metadata, tensors, map);
  }

  private int version() {
    int magic = cursor.int32();
    if (magic != MAGIC) {
      String found = String.format("%08x", Integer.reverseBytes(magic));
      throw new FormatException(
          file + ": not a GGUF file: begins with bytes " + found + ", expected 47475546 (GGUF)");
    }
    int version = cursor.int32();
    if (version == 2 || version == 3) {
      return version;
    }
    int swapped = Integer.reverseBytes(version);
    if (swapped >= 1 && swapped <= 3) {
      throw cursor.problem("big-endian file; only little-endian ones can be read");
    }
    throw cursor.problem(
        "version " + Integer.toUnsignedString(version) + " is not supported; supported: 2, 3");
  }

  private Metadata metadata(int count) {
    var values = new LinkedHashMap<String, MetadataValue>();
    for (int i = 0; i < count; i++) {
      cursor.place("metadata key number " + i);
      String key = cursor.name(MAX_KEY_BYTES);
      cursor.place("metadata key " + key);
      if (values.put(key, cursor.value()) != null) {
        throw cursor.problem("stands twice in the file");
      }
    }
    return Metadata.ofValues(file, values);
  }

  /** The alignment that metadata asks for, checked. */
  static int alignment(Metadata metadata) {
    long alignment = metadata.integer(ALIGNMENT_KEY).orElse(DEFAULT_ALIGNMENT);
    if (alignment < 8 || alignment > 1 << 20 || Long.bitCount(alignment) != 1) {
      throw FormatException.at(
          metadata.source(),
          "metadata key " + ALIGNMENT_KEY,
          "expected a power of two from 8 to 1048576, found " + alignment);
    }
    return (int) alignment;
  }

  /** An entry whose place in the file is not known before all entries have been read. */
  private record Entry(String name, GgufType type, long[] shape, long bytes, long offset) {}

  private List<TensorInfo> tensors(int count, int alignment) {
    var entries = new ArrayList<Entry>();
    var names = new HashSet<String>();
    for (int i = 0; i < count; i++) {
      cursor.place("tensor number " + i);
      Entry entry = entry(alignment);
      if (!names.add(entry.name)) {
        throw cursor.problem("stands twice in the file");
      }
      entries.add(entry);
    }
    long dataStart = Math.ceilDiv((long) cursor.position(), alignment) * alignment;
    var tensors = new ArrayList<TensorInfo>();
    for (Entry entry : entries) {
      tensors.add(place(entry, dataStart));
    }
    checkOverlap(tensors);
    return tensors;
  }

  private Entry entry(int alignment) {
    String name = cursor.name(MAX_TENSOR_NAME_BYTES);
    cursor.place("tensor " + name);
    int dimensions = cursor.int32();
    if (dimensions < 1 || dimensions > MAX_DIMENSIONS) {
      throw cursor.problem(
          Integer.toUnsignedString(dimensions) + " dimensions, expected 1 to " + MAX_DIMENSIONS);
    }
    long[] shape = new long[dimensions];
    long elements = 1;
    for (int i = 0; i < dimensions; i++) {
      shape[i] = cursor.int64();
      if (shape[i] < 1 || Math.multiplyHigh(elements, shape[i]) != 0 || elements * shape[i] < 0) {
        throw cursor.problem(
            "dimension "
                + i
                + " is "
                + Long.toUnsignedString(shape[i])
                + ", expected at least 1 and a product of all below 2^63");
      }
      elements *= shape[i];
    }
    int id = cursor.int32();
    GgufType type =
        GgufType.byId(id)
            .orElseThrow(
                () -> cursor.problem("unknown tensor type " + Integer.toUnsignedString(id)));
    if (shape[0] % type.blockElements() != 0) {
      throw cursor.problem(
          "innermost dimension "
              + shape[0]
              + " is not a multiple of "
              + type.blockElements()
              + ", the block of "
              + type);
    }
    long blocks = elements / type.blockElements();
    if (blocks > Long.MAX_VALUE / type.blockBytes()) {
      throw cursor.problem(elements + " elements of " + type + " are more than any file holds");
    }
    long offset = cursor.int64();
    if ((offset & (alignment - 1)) != 0) {
      throw cursor.problem(
          "data offset "
              + Long.toUnsignedString(offset)
              + " is not a multiple of the alignment "
              + alignment);
    }
    return new Entry(name, type, shape, blocks * type.blockBytes(), offset);
  }

  private TensorInfo place(Entry entry, long dataStart) {
    long room = map.byteSize() - dataStart;
    if (entry.offset < 0 || entry.bytes > room || entry.offset > room - entry.bytes) {
      throw FormatException.at(
          file,
          "tensor " + entry.name,
          "past end of file: offset="
              + Long.toUnsignedString(entry.offset)
              + " of the data at "
              + dataStart
              + ", length="
              + entry.bytes
              + ", file="
              + map.byteSize());
    }
    long offset = dataStart + entry.offset;
    MemorySegment data = map.asSlice(offset, entry.bytes);
    return new TensorInfo(file, entry.name, entry.type, entry.shape, offset, data);
  }

  private static void checkOverlap(List<TensorInfo> tensors) {
    var byOffset = new ArrayList<>(tensors);
    byOffset.sort(Comparator.comparingLong(TensorInfo::offset));
    for (int i = 1; i < byOffset.size(); i++) {
      TensorInfo before = byOffset.get(i - 1);
      TensorInfo tensor = byOffset.get(i);
      if (before.offset() + before.bytes() > tensor.offset()) {
        throw tensor.problem(
            "overlaps tensor "
                + before.name()
                + ": offset="
                + tensor.offset()
                + ", the other ends at "
                + (before.offset() + before.bytes()));
      }
    }
  }
}
