// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format.safetensors;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/** Writes a safetensors file. The same input gives the same bytes. */
public final class SafetensorsWriter {
  private static final int CHUNK = 1 << 20;
  private static final int ALIGNMENT = 8;
  private static final JsonFactory FACTORY = new JsonFactory();

  private record Entry(
      SafetensorsType type, List<Long> shape, long bytes, Supplier<MemorySegment> data) {}

  private final Map<String, String> metadata;
  private final Map<String, Entry> entries = new LinkedHashMap<>();

  /**
   * @param metadata for {@code __metadata__}, written in its order
   */
  public SafetensorsWriter(Map<String, String> metadata) {
    this.metadata = new LinkedHashMap<>(metadata);
  }

  /**
   * Adds a tensor.
   *
   * @param name not added before
   * @param shape outermost dimension first
   * @param data gives the tensor's bytes, on or off the heap; called once, by {@link #write}, when
   *     their turn comes, so that not all need to be in memory at once
   * @return this
   */
  public SafetensorsWriter add(
      String name, SafetensorsType type, List<Long> shape, Supplier<MemorySegment> data) {
    long bytes = type.bytes();
    for (long dimension : shape) {
      if (dimension < 0) {
        throw new IllegalArgumentException("tensor " + name + ": dimension=" + dimension);
      }
      bytes = Math.multiplyExact(bytes, dimension);
    }
    Entry entry = new Entry(type, List.copyOf(shape), bytes, data);
    if (name.equals(SafetensorsHeader.METADATA) || entries.putIfAbsent(name, entry) != null) {
      throw new IllegalArgumentException("tensor " + name + ": added twice, or not a free name");
    }
    return this;
  }

  /**
   * Writes the file.
   *
   * @throws IllegalArgumentException if a tensor's bytes are not as many as its shape says
   */
  public void write(WritableByteChannel channel) throws IOException {
    byte[] header = header();
    ByteBuffer first = ByteBuffer.allocate(8 + header.length).order(ByteOrder.LITTLE_ENDIAN);
    writeFully(channel, first.putLong(header.length).put(header).flip());
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment chunk = arena.allocate(CHUNK, JAVA_LONG_UNALIGNED.byteSize());
      for (var named : entries.entrySet()) {
        MemorySegment data = named.getValue().data.get();
        if (data.byteSize() != named.getValue().bytes) {
          throw new IllegalArgumentException(
              "tensor " + named.getKey() + ": bytes=" + data.byteSize() + ", expected "
                  + named.getValue().bytes);
        }
        for (long at = 0; at < data.byteSize(); at += CHUNK) {
          long length = Math.min(CHUNK, data.byteSize() - at);
          MemorySegment.copy(data, at, chunk, 0, length);
          writeFully(channel, chunk.asSlice(0, length).asByteBuffer());
        }
      }
    }
  }

  private static void writeFully(WritableByteChannel channel, ByteBuffer bytes)
      throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  private byte[] header() {
    var out = new ByteArrayOutputStream();
    try (JsonGenerator json = FACTORY.createGenerator(ObjectWriteContext.empty(), out)) {
      json.writeStartObject();
      if (!metadata.isEmpty()) {
        json.writeObjectPropertyStart(SafetensorsHeader.METADATA);
        metadata.forEach(json::writeStringProperty);
        json.writeEndObject();
      }
      long offset = 0;
      for (var named : entries.entrySet()) {
        Entry entry = named.getValue();
        json.writeObjectPropertyStart(named.getKey());
        json.writeStringProperty("dtype", entry.type.name());
        json.writeArrayPropertyStart("shape");
        entry.shape.forEach(json::writeNumber);
        json.writeEndArray();
        json.writeArrayPropertyStart("data_offsets");
        json.writeNumber(offset);
        offset = Math.addExact(offset, entry.bytes);
        json.writeNumber(offset);
        json.writeEndArray();
        json.writeEndObject();
      }
      json.writeEndObject();
    }
    while (out.size() % ALIGNMENT != 0) {
      out.write(' ');
    }
    return out.toByteArray();
  }
}
