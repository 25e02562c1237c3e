// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format.gguf;

import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.format.MetadataArray;
import dev.tokamak.model.format.MetadataValue;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;

/**
 * Writes a GGUF file of version 3: metadata in its order, tensors in the order they were added,
 * aligned as {@code general.alignment} says. The same input gives the same bytes.
 */
public final class GgufWriter {
  private static final int VERSION = 3;
  private static final int CHUNK = 1 << 20;

  private record Entry(
      GgufType type, long[] shape, long bytes, long offset, Supplier<MemorySegment> data) {}

  private final Metadata metadata;
  private final int alignment;
  private final Map<String, Entry> entries = new LinkedHashMap<>();
  private long end;

  public GgufWriter(Metadata metadata) {
    this.metadata = metadata;
    this.alignment = GgufReader.alignment(metadata);
  }

  /**
   * Adds a tensor.
   *
   * @param name 1 to 64 bytes of UTF-8, not added before
   * @param shape 1 to 4 dimensions, innermost first, the first in whole blocks of the type
   * @param data gives the tensor's bytes, on or off the heap; called once, by {@link #write}, when
   *     their turn comes, so that not all need to be in memory at once
   * @return this
   */
  public GgufWriter add(String name, GgufType type, long[] shape, Supplier<MemorySegment> data) {
    int nameBytes = utf8(name).length;
    if (nameBytes < 1 || nameBytes > GgufReader.MAX_TENSOR_NAME_BYTES) {
      throw new IllegalArgumentException("tensor " + name + ": name of " + nameBytes + " bytes");
    }
    if (shape.length < 1 || shape.length > GgufReader.MAX_DIMENSIONS) {
      throw new IllegalArgumentException("tensor " + name + ": dimensions=" + shape.length);
    }
    long elements = 1;
    for (long dimension : shape) {
      if (dimension < 1) {
        throw new IllegalArgumentException("tensor " + name + ": dimension=" + dimension);
      }
      elements = Math.multiplyExact(elements, dimension);
    }
    if (shape[0] % type.blockElements() != 0) {
      throw new IllegalArgumentException(
          "tensor "
              + name
              + ": innermost dimension="
              + shape[0]
              + " is not whole blocks of "
              + type);
    }
    long bytes = Math.multiplyExact(elements / type.blockElements(), type.blockBytes());
    Entry entry = new Entry(type, shape.clone(), bytes, end, data);
    if (entries.putIfAbsent(name, entry) != null) {
      throw new IllegalArgumentException("tensor " + name + ": added twice");
    }
    end = Math.addExact(end, Math.addExact(bytes, padding(bytes)));
    return this;
  }

  /**
   * Writes the file: to a temporary name beside it, then to the disk, then renamed, so that {@code
   * path} never names half a file. An existing file is replaced.
   *
   * @throws IllegalArgumentException if a tensor's bytes are not as many as its shape says
   */
  public void write(Path path) throws IOException {
    Path temporary = temporary(path);
    try {
      try (var channel =
              FileChannel.open(temporary, StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW);
          Arena arena = Arena.ofConfined()) {
        write(channel, arena.allocate(CHUNK));
        channel.force(true);
      }
      Files.move(
          temporary, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  /**
   * Finds out whether a file can be written, before any work is done for it.
   *
   * @param inputs which it must not replace
   * @throws IOException with one line: it is one of them, or no file, or none can be made there
   */
  public static void probe(Path path, Collection<Path> inputs) throws IOException {
    String name = path.toString();
    if (Files.isDirectory(path)) {
      throw new FileSystemException(name, null, "a folder, expected the name of a file");
    }
    if (Files.exists(path) && !Files.isRegularFile(path)) {
      throw new FileSystemException(name, null, "no regular file");
    }
    for (Path input : inputs) {
      if (Files.exists(path) && Files.exists(input) && Files.isSameFile(path, input)) {
        throw new FileSystemException(name, null, "is read as well, expected another file");
      }
    }
    Path temporary = temporary(path);
    try {
      Files.delete(Files.createFile(temporary));
    } catch (IOException _) {
      throw new FileSystemException(
          name, null, "no file can be made in " + path.toAbsolutePath().getParent());
    }
  }

  private static Path temporary(Path path) throws IOException {
    Path folder = path.toAbsolutePath().getParent();
    if (!Files.isDirectory(folder)) {
      throw new NoSuchFileException(folder.toString());
    }
    // not createTempFile: the model would keep a temporary file's permissions
    String unique = Long.toHexString(System.nanoTime());
    return path.resolveSibling(path.getFileName() + "." + unique + ".part");
  }

  private void write(FileChannel channel, MemorySegment chunk) throws IOException {
    byte[] header = header();
    write(channel, chunk, MemorySegment.ofArray(header));
    pad(channel, header.length);
    for (var named : entries.entrySet()) {
      Entry entry = named.getValue();
      MemorySegment data = entry.data.get();
      if (data.byteSize() != entry.bytes) {
        throw new IllegalArgumentException(
            "tensor "
                + named.getKey()
                + ": bytes="
                + data.byteSize()
                + ", expected "
                + entry.bytes);
      }
      write(channel, chunk, data);
      pad(channel, entry.bytes);
    }
  }

  /** By way of a chunk off the heap, as segments over heap arrays have no byte buffer. */
  private static void write(FileChannel channel, MemorySegment chunk, MemorySegment data)
      throws IOException {
    for (long at = 0; at < data.byteSize(); at += CHUNK) {
      long length = Math.min(CHUNK, data.byteSize() - at);
      MemorySegment.copy(data, at, chunk, 0, length);
      writeFully(channel, chunk.asSlice(0, length).asByteBuffer());
    }
  }

  private void pad(FileChannel channel, long written) throws IOException {
    writeFully(channel, ByteBuffer.allocate((int) padding(written)));
  }

  private static void writeFully(FileChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  private long padding(long bytes) {
    return -bytes & (alignment - 1);
  }

  private byte[] header() {
    var out = new ByteArrayOutputStream();
    out.writeBytes("GGUF".getBytes(StandardCharsets.US_ASCII));
    put(out, 4, VERSION);
    put(out, 8, entries.size());
    put(out, 8, metadata.keys().size());
    for (String key : metadata.keys()) {
      MetadataValue value = metadata.value(key).orElseThrow();
      putString(out, key);
      put(out, 4, value.type().id());
      putValue(out, value);
    }
    entries.forEach(
        (name, entry) -> {
          putString(out, name);
          put(out, 4, entry.shape.length);
          for (long dimension : entry.shape) {
            put(out, 8, dimension);
          }
          put(out, 4, entry.type.id());
          put(out, 8, entry.offset);
        });
    return out.toByteArray();
  }

  private static void putValue(ByteArrayOutputStream out, MetadataValue value) {
    switch (value) {
      case MetadataValue.Int integer -> put(out, integer.type().bytes(), integer.bits());
      case MetadataValue.Real real ->
          put(
              out,
              real.type().bytes(),
              real.type().bytes() == 4
                  ? Float.floatToRawIntBits((float) real.value())
                  : Double.doubleToRawLongBits(real.value()));
      case MetadataValue.Bool bool -> put(out, 1, bool.value() ? 1 : 0);
      case MetadataValue.Text text -> putString(out, text.value());
      case MetadataValue.Array(MetadataArray array) -> {
        put(out, 4, array.elementType().id());
        put(out, 8, array.size());
        out.writeBytes(array.packedBytes());
      }
    }
  }

  private static void putString(ByteArrayOutputStream out, String text) {
    byte[] bytes = utf8(text);
    put(out, 8, bytes.length);
    out.writeBytes(bytes);
  }

  /** The low {@code bytes} bytes of a value, lowest first. */
  private static void put(ByteArrayOutputStream out, int bytes, long value) {
    byte[] all = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array();
    out.write(all, 0, bytes);
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
