// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format.safetensors;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.model.format.FormatException;
import dev.tokamak.testing.Seeds;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SafetensorsTest {
  /**
   * What version 0.8.0 of the Python package writes by {@code save({"b": float32 [[1, 2]], "a":
   * uint8 [7, 8, 9]}, metadata={"k": "v"})}.
   */
  private static final byte[] BY_PYTHON =
      concat(
          header(
              "{\"__metadata__\":{\"k\":\"v\"},"
                  + "\"b\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
                  + "\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[8,11]}}  "),
          HexFormat.of().parseHex("0000803f00000040070809"));

  @TempDir Path folder;

  @Test
  void readsWhatPythonWrites() throws IOException {
    Path path = write(BY_PYTHON);
    try (var file = SafetensorsFile.open(path)) {
      assertThat(file.metadata()).isEqualTo(Map.of("k", "v"));
      MemorySegment b = file.require("b", SafetensorsType.F32, List.of(1L, 2L));
      assertThat(b.toArray(JAVA_FLOAT_UNALIGNED)).containsExactly(1, 2);
      MemorySegment a = file.require("a", SafetensorsType.U8, List.of(3L));
      assertThat(a.toArray(JAVA_BYTE)).containsExactly(7, 8, 9);
      assertThatThrownBy(() -> file.require("c", SafetensorsType.U8, List.of(3L)))
          .hasMessage("a.safetensors: tensor c: missing");
      assertThatThrownBy(() -> file.require("a", SafetensorsType.U8, List.of(1L, 3L)))
          .hasMessage("a.safetensors: tensor a: expected U8 [1, 3], found U8 [3]");
    }
  }

  @Test
  void writesTheBytesThatPythonWrites() throws IOException {
    Path path = folder.resolve("out.safetensors");
    var writer =
        new SafetensorsWriter(Map.of("k", "v"))
            .add(
                "b",
                SafetensorsType.F32,
                List.of(1L, 2L),
                () -> MemorySegment.ofArray(new float[] {1, 2}))
            .add(
                "a",
                SafetensorsType.U8,
                List.of(3L),
                () -> MemorySegment.ofArray(new byte[] {7, 8, 9}));
    write(writer, path);
    assertThat(Files.readAllBytes(path)).isEqualTo(BY_PYTHON);
  }

  @Test
  void writesWhatItReadsAgain() throws IOException {
    Path path = folder.resolve("long.safetensors");
    float[] values = new float[700_001];
    for (int i = 0; i < values.length; i++) {
      values[i] = i / 3f;
    }
    var writer =
        new SafetensorsWriter(Map.of())
            .add("empty", SafetensorsType.F32, List.of(0L), () -> MemorySegment.NULL)
            .add(
                "one \"quoted\"\n",
                SafetensorsType.I64,
                List.of(),
                () -> MemorySegment.ofArray(new long[] {-1}))
            .add(
                "long",
                SafetensorsType.F32,
                List.of((long) values.length),
                () -> MemorySegment.ofArray(values));
    write(writer, path);
    try (var file = SafetensorsFile.open(path)) {
      MemorySegment read = file.require("long", SafetensorsType.F32, List.of(700_001L));
      assertThat(read.toArray(JAVA_FLOAT_UNALIGNED)).isEqualTo(values);
      assertThat(file.tensors()).hasSize(3);
    }
  }

  @Test
  void wrongLengthIsRefused() {
    var writer =
        new SafetensorsWriter(Map.of())
            .add("a", SafetensorsType.F32, List.of(2L), () -> MemorySegment.ofArray(new byte[7]));
    assertThatThrownBy(() -> write(writer, folder.resolve("x")))
        .hasMessage("tensor a: bytes=7, expected 8");
  }

  /** 11 bytes of data follow each header. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          []                                                   | expected a size of 2
          {"a":1}                                              | tensor a: expected an object
          {"a":{}}                                             | expected dtype, shape and two
          {"a":{"dtype":"F3","shape":[],"data_offsets":[0,4]}} | tensor a: unknown dtype 'F3'
          {"a":{"dtype":3}}                                    | tensor a: dtype: expected a string
          {"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,4]}} | whole numbers from 0
          {"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,4]}} | whole numbers from 0
          {"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,4]}} | whole numbers from 0
          {"a":{"dtype":"F32","shape":[4611686018427387904,8],"data_offsets":[0,4]}} | more than any file
          {"a":{"dtype":"U8","shape":[11],"data_offsets":[0,12]}} | past end of file
          {"a":{"dtype":"U8","shape":[11],"data_offsets":[9,1]}} | past end of file
          {"a":{"dtype":"U8","shape":[10],"data_offsets":[0,11]}} | 11 bytes apart, expected 10
          {"a":{"dtype":"U8","shape":[11],"data_offsets":[0]}} | two data_offsets
          {"a":{"dtype":"U8","shape":[10],"data_offsets":[0,10]}} | data: 11 bytes, of which
          {"a":{"dtype":"U8","shape":[10],"data_offsets":[1,11]}} | leaves a hole before it
          {"a":{"dtype":"U8","shape":[11],"data_offsets":[0,11]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}} | overlaps
          {"a":{"dtype":"U8","shape":[11],"data_offsets":[0,11]},"a":{}} | header: not valid JSON
          {"__metadata__":{"a":1}}                             | __metadata__.a: expected a string
          {"__metadata__":[]}                                  | __metadata__: expected an object
          {"a":{"dtype":"U8","shape":[11],"data_offsets":[0,11],"x":1}} | unknown key 'x'
          {"a":{"dtype":"U8","shape":[11],"data_offsets":[0,11]}} {} | nothing but spaces
          {"a":{"dtype":"U8","shape":[11],"data_offsets":[0,11] | header: not valid JSON
          """)
  void hostileHeaderIsOneLine(String header, String message) throws IOException {
    Path path = write(concat(header(header), new byte[11]));
    assertThatThrownBy(() -> SafetensorsFile.open(path))
        .isInstanceOf(FormatException.class)
        .hasMessageStartingWith("a.safetensors: ")
        .hasMessageContaining(message)
        .message()
        .doesNotContain("\n");
  }

  @Test
  void sizesAreRefused() throws IOException {
    for (byte[] bytes :
        List.of(
            new byte[0],
            new byte[7],
            new byte[8],
            HexFormat.of().parseHex("ffffffffffffffff7b7d"),
            HexFormat.of().parseHex("03000000000000007b7d"))) {
      Path path = write(bytes);
      assertThatThrownBy(() -> SafetensorsFile.open(path))
          .isInstanceOf(FormatException.class)
          .hasMessageContaining("not a safetensors file");
    }
    assertThatThrownBy(() -> SafetensorsFile.open(folder)).hasMessageContaining("not a regular");
    assertThatThrownBy(() -> SafetensorsFile.open(folder.resolve("none")))
        .hasMessageContaining("no such file");
  }

  /** Any damage gives a sound file or a FormatException, never another failure. */
  @Test
  void damagedFilesAreRefusedOrSound() {
    Seeds.check(
        random -> {
          for (int round = 0; round < 3000; round++) {
            byte[] bytes = BY_PYTHON.clone();
            for (int i = random.nextInt(1, 4); i > 0; i--) {
              bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
            }
            Path path = write(bytes);
            try (var file = SafetensorsFile.open(path)) {
              assertThat(file.tensors().stream().mapToLong(t -> t.data().byteSize()).sum())
                  .isLessThan(bytes.length);
            } catch (FormatException e) {
              assertThat(e.getMessage()).doesNotContain("\n");
            }
          }
        });
  }

  private Path write(byte[] bytes) throws IOException {
    return Files.write(folder.resolve("a.safetensors"), bytes);
  }

  private static void write(SafetensorsWriter writer, Path path) throws IOException {
    try (var channel =
        FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      writer.write(channel);
    }
  }

  private static byte[] header(String json) {
    byte[] text = json.getBytes(StandardCharsets.UTF_8);
    ByteBuffer bytes = ByteBuffer.allocate(8 + text.length).order(ByteOrder.LITTLE_ENDIAN);
    return bytes.putLong(text.length).put(text).array();
  }

  private static byte[] concat(byte[] a, byte[] b) {
    return ByteBuffer.allocate(a.length + b.length).put(a).put(b).array();
  }
}
