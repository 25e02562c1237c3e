// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format.safetensors;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import dev.tokamak.model.format.FormatException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;

/** Reads the header by the table on the package page, and believes nothing in it. */
final class SafetensorsHeader {
  static final String METADATA = "__metadata__";
  static final int MAX_BYTES = 100_000_000;

  private static final JsonFactory FACTORY =
      JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

  /** A tensor's entry; its bytes are from {@code begin} to before {@code end} of the data. */
  private record Entry(String name, SafetensorsType type, List<Long> shape, long begin, long end) {}

  private final String file;
  private final MemorySegment data;
  private final JsonParser json;
  private final Map<String, String> metadata = new LinkedHashMap<>();
  private final List<Entry> entries = new ArrayList<>();

  private SafetensorsHeader(String file, byte[] header, MemorySegment data) {
    this.file = file;
    this.data = data;
    json = FACTORY.createParser(ObjectReadContext.empty(), header);
  }

  /** Reads and checks the header of a mapped file. */
  static SafetensorsHeader read(String file, MemorySegment map) {
    long size = map.byteSize() < 8 ? 0 : map.get(JAVA_LONG_UNALIGNED.withOrder(
        ByteOrder.LITTLE_ENDIAN), 0);
    long most = Math.min(MAX_BYTES, map.byteSize() - 8);
    if (size < 2 || size > most || map.get(JAVA_BYTE, 8) != '{') {
      throw new FormatException(
          file + ": not a safetensors file: header size=" + Long.toUnsignedString(size)
              + ", file=" + map.byteSize() + "; expected a size of 2 to " + MAX_BYTES
              + " inside the file, and '{' behind it");
    }
    byte[] bytes = map.asSlice(8, size).toArray(JAVA_BYTE);
    var header = new SafetensorsHeader(file, bytes, map.asSlice(8 + size));
    try {
      header.parse();
    } catch (JacksonException e) {
      throw FormatException.at(file, "header", "not valid JSON: " + e.getOriginalMessage());
    }
    header.checkCover();
    return header;
  }

  Map<String, String> metadata() {
    return metadata;
  }

  Map<String, SafetensorsTensor> tensors() {
    Map<String, SafetensorsTensor> tensors = new LinkedHashMap<>();
    for (Entry e : entries) {
      MemorySegment bytes = data.asSlice(e.begin, e.end - e.begin);
      tensors.put(e.name, new SafetensorsTensor(e.name, e.type, e.shape, bytes));
    }
    return tensors;
  }

  private void parse() {
    json.nextToken();
    while (json.nextToken() == JsonToken.PROPERTY_NAME) {
      String name = json.currentName();
      if (name.equals(METADATA)) {
        parseMetadata();
      } else {
        entries.add(parseEntry(name));
      }
    }
    if (json.nextToken() != null) {
      throw FormatException.at(file, "header", "expected nothing but spaces after the object");
    }
  }

  private void parseMetadata() {
    expect(METADATA, "an object", JsonToken.START_OBJECT);
    while (json.nextToken() == JsonToken.PROPERTY_NAME) {
      String key = json.currentName();
      expect(METADATA + "." + key, "a string", JsonToken.VALUE_STRING);
      metadata.put(key, json.getString());
    }
  }

  private Entry parseEntry(String name) {
    String place = "tensor " + name;
    expect(place, "an object", JsonToken.START_OBJECT);
    SafetensorsType type = null;
    List<Long> shape = null;
    List<Long> offsets = null;
    while (json.nextToken() == JsonToken.PROPERTY_NAME) {
      String key = json.currentName();
      switch (key) {
        case "dtype" -> {
          expect(place + ": dtype", "a string", JsonToken.VALUE_STRING);
          String text = json.getString();
          type =
              SafetensorsType.named(text)
                  .orElseThrow(() -> problem(place, "unknown dtype '" + text + "'"));
        }
        case "shape" -> shape = numbers(place + ": shape");
        case "data_offsets" -> offsets = numbers(place + ": data_offsets");
        default -> throw problem(place, "unknown key '" + key + "'");
      }
    }
    if (type == null || shape == null || offsets == null || offsets.size() != 2) {
      throw problem(place, "expected dtype, shape and two data_offsets");
    }
    return checked(place, new Entry(name, type, shape, offsets.get(0), offsets.get(1)));
  }

  private Entry checked(String place, Entry entry) {
    long bytes = entry.type.bytes();
    for (long dimension : entry.shape) {
      if (Math.multiplyHigh(bytes, dimension) != 0 || bytes * dimension < 0) {
        throw problem(place, "shape " + entry.shape + " is more than any file holds");
      }
      bytes *= dimension;
    }
    if (entry.begin > entry.end || entry.end > data.byteSize()) {
      throw problem(
          place,
          "past end of file: data_offsets=[" + entry.begin + ", " + entry.end + "], data="
              + data.byteSize() + " bytes");
    }
    if (entry.end - entry.begin != bytes) {
      throw problem(
          place,
          "data_offsets are " + (entry.end - entry.begin) + " bytes apart, expected " + bytes
              + " for " + entry.type + " " + entry.shape);
    }
    return entry;
  }

  private List<Long> numbers(String place) {
    expect(place, "an array", JsonToken.START_ARRAY);
    List<Long> numbers = new ArrayList<>();
    while (json.nextToken() != JsonToken.END_ARRAY) {
      if (json.currentToken() != JsonToken.VALUE_NUMBER_INT
          || json.getNumberType() == JsonParser.NumberType.BIG_INTEGER
          || json.getLongValue() < 0) {
        throw problem(place, "expected whole numbers from 0 to below 2^63");
      }
      numbers.add(json.getLongValue());
    }
    return List.copyOf(numbers);
  }

  /** Each byte of the data belongs to one tensor. */
  private void checkCover() {
    List<Entry> inOrder = new ArrayList<>(entries);
    inOrder.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
    long covered = 0;
    for (Entry entry : inOrder) {
      if (entry.begin != covered) {
        throw problem(
            "tensor " + entry.name,
            (entry.begin < covered ? "overlaps the tensor before it" : "leaves a hole before it")
                + ": begins at " + entry.begin + ", expected " + covered);
      }
      covered = entry.end;
    }
    if (covered != data.byteSize()) {
      throw problem(
          "data", data.byteSize() + " bytes, of which tensors cover " + covered);
    }
  }

  private void expect(String place, String what, JsonToken token) {
    if (json.nextToken() != token) {
      throw problem(place, "expected " + what);
    }
  }

  private FormatException problem(String place, String problem) {
    return FormatException.at(file, place, problem);
  }
}
