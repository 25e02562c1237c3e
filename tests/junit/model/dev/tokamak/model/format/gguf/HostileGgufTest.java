// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format.gguf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.fail;

import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.format.MetadataArray;
import dev.tokamak.model.format.MetadataType;
import dev.tokamak.testing.Allocations;
import dev.tokamak.testing.Seeds;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Files that are broken, by accident or on purpose. */
class HostileGgufTest {
  @TempDir Path folder;

  // What is not a GGUF file at all

  @Test
  void pathsThatAreNoFile() throws Exception {
    fails(folder.resolve("no.gguf"), folder.resolve("no.gguf") + ": no such file");
    fails(folder, folder + ": a directory, expected a GGUF file");
    Path empty = Files.createFile(folder.resolve("empty.gguf"));
    fails(empty, empty + ": empty file, expected a GGUF file");
    Path device = Path.of("/dev/zero");
    if (Files.exists(device)) {
      fails(device, device + ": not a regular file, expected a GGUF file");
    }
  }

  @Test
  void unreadableFile() throws Exception {
    Path path = Samples.write(folder);
    assertThat(path.toFile().setReadable(false)).isTrue();
    Assumptions.assumeFalse(Files.isReadable(path), "this user may read every file");
    fails(path, path + ": no permission to read it");
  }

  @Test
  void wrongMagicAndVersion() throws Exception {
    fails(
        new Bytes().text("PK\3\4....."),
        "not a GGUF file: begins with bytes 504b0304, expected 47475546 (GGUF)");
    fails(new Bytes().text("GGUF").int32(1), "header: version 1 is not supported; supported: 2, 3");
    fails(new Bytes().text("GGUF").int32(4), "header: version 4 is not supported; supported: 2, 3");
    fails(
        new Bytes().text("GGUF").int32(0x0300_0000),
        "header: big-endian file; only little-endian ones can be read");
  }

  // Counts and lengths

  @Test
  void absurdCounts() throws Exception {
    fails(
        new Bytes().text("GGUF").int32(3).int64(-1).int64(0),
        "header: tensor count=18446744073709551615:"
            + " at least 33 bytes each, 8 bytes left in the file");
    fails(
        new Bytes().text("GGUF").int32(3).int64(0).int64(1L << 40),
        "header: key count=1099511627776: at least 14 bytes each, 0 bytes left in the file");
    fails(
        keys(1).int64(1L << 33).text("k....."),
        "metadata key number 0: name of 8589934592 bytes at offset=24, expected 1 to 65535");
    fails(
        key("k", 8).int64(-1).text("text"),
        "metadata key k: past end of file: offset=45, length=18446744073709551615, file=49");
    fails(
        key("k", 9).int32(4).int64(1L << 31).int32(1),
        "metadata key k: array of uint32: count=2147483648:"
            + " at least 4 bytes each, 4 bytes left in the file");
    fails(
        key("k", 9).int32(8).int64(2).int64(1).text("a").int64(7).text("b"),
        "metadata key k: past end of file: offset=66, length=7, file=67");
  }

  @Test
  void aHeaderOfHundredsOfMegabytesIsRefusedBeforeItIsRead() throws Exception {
    long[][] cases = {{0, 200 << 20}, {8, 200 << 17}};
    for (long[] typeAndCount : cases) {
      Path path = folder.resolve("bad.gguf");
      Files.write(path, key("k", 9).int32((int) typeAndCount[0]).int64(typeAndCount[1]).all());
      try (var file = new RandomAccessFile(path.toFile(), "rw")) {
        file.setLength(300 << 20); // sparse
      }
      long before = Allocations.bytes();
      fails(
          path,
          "bad.gguf: metadata key k: reaches offset=209715249,"
              + " but a header may take 134217728 bytes");
      assertThat(Allocations.bytes() - before).isLessThan(1 << 20);
    }
    Bytes text = key("k", 8).int64(200 << 20);
    try (var file = new RandomAccessFile(folder.resolve("bad.gguf").toFile(), "rw")) {
      file.write(text.all());
    }
    fails(
        folder.resolve("bad.gguf"),
        "bad.gguf: metadata key k: reaches offset=209715245,"
            + " but a header may take 134217728 bytes");
  }

  @Test
  void aMessageIsOneShortLineWhateverTheNames() throws Exception {
    fails(
        key("k\n\u001b[2Jey", 13).int64(0),
        "metadata key k\uFFFD\uFFFD[2Jey: unknown value type 13, known: 0 to 12");
    fails(
        key("k".repeat(60_000), 13).int64(0),
        "metadata key " + "k".repeat(1987) + "…: unknown value type 13, known: 0 to 12");
  }

  @Test
  void badValues() throws Exception {
    fails(key("k", 13).int64(0), "metadata key k: unknown value type 13, known: 0 to 12");
    fails(
        key("k", 9).int32(-1).int64(0),
        "metadata key k: unknown value type 4294967295, known: 0 to 12");
    fails(key("k", 7).text("\2"), "metadata key k: bool of value 2, expected 0 or 1");
    fails(
        key("k", 9).int32(7).int64(2).text("\1\3"),
        "metadata key k: bool of value 3, expected 0 or 1");
    fails(
        key("k", 8).int64(2).bytes(0xc3, 0x28),
        "metadata key k: not valid UTF-8: offset=45, length=2");
    fails(
        keys(1).int64(1).bytes(0xff).int32(7).bytes(1),
        "metadata key number 0: not valid UTF-8: offset=32, length=1");
    fails(
        keys(1).int64(0).int32(7).int32(1),
        "metadata key number 0: name of 0 bytes at offset=24, expected 1 to 65535");
    fails(
        keys(2).string("k").int32(7).bytes(1).string("k").int32(7).bytes(1),
        "metadata key k: stands twice in the file");
  }

  @Test
  void deepNestingIsRefusedWithoutRecursion() throws Exception {
    Bytes file = key("k", 9);
    for (int i = 0; i < 100_000; i++) {
      file.int32(9).int64(1);
    }
    fails(file, "metadata key k: arrays nested deeper than 4");
  }

  @Test
  void alignmentIsASanePowerOfTwo() throws Exception {
    for (long alignment : new long[] {0, 1, 4, 33, 48, 1L << 21, 1L << 32}) {
      fails(
          key("general.alignment", 10).int64(alignment),
          "metadata key general.alignment:"
              + " expected a power of two from 8 to 1048576, found "
              + alignment);
    }
    fails(
        key("general.alignment", 8).string("32"),
        "metadata key general.alignment: expected an integer, found string");
  }

  // Tensors

  @Test
  void badShapes() throws Exception {
    fails(tensor("w", 0, 0), "tensor w: 0 dimensions, expected 1 to 4");
    fails(tensor("w", 0, 0, 1, 1, 1, 1, 1), "tensor w: 5 dimensions, expected 1 to 4");
    String rule = ", expected at least 1 and a product of all below 2^63";
    fails(tensor("w", 0, 0, 0), "tensor w: dimension 0 is 0" + rule);
    fails(tensor("w", 0, 0, -1), "tensor w: dimension 0 is 18446744073709551615" + rule);
    fails(tensor("w", 0, 0, 1L << 32, 1L << 31), "tensor w: dimension 1 is 2147483648" + rule);
    fails(
        tensor("w", 0, 0, 1L << 62, 1L << 62),
        "tensor w: dimension 1 is 4611686018427387904" + rule);
    fails(
        tensor("w", 0, 0, 1L << 61),
        "tensor w: 2305843009213693952 elements of F32 are more than any file holds");
    fails(
        tensor("w", 8, 0, 33),
        "tensor w: innermost dimension 33 is not a multiple of 32, the block of Q8_0");
    fails(tensor("w", 4, 0, 32), "tensor w: unknown tensor type 4");
    fails(tensor("w", -1, 0, 32), "tensor w: unknown tensor type 4294967295");
    fails(
        tensor("w".repeat(65), 0, 0, 1),
        "tensor number 0: name of 65 bytes at offset=24, expected 1 to 64");
  }

  @Test
  void badOffsets() throws Exception {
    fails(
        tensor("w", 0, 8, 1).pad(128),
        "tensor w: data offset 8 is not a multiple of the alignment 32");
    fails(
        tensor("w", 0, 64, 1).pad(128),
        "tensor w: past end of file: offset=64 of the data at 64, length=4, file=128");
    fails(
        tensor("w", 0, 0, 17).pad(128),
        "tensor w: past end of file: offset=0 of the data at 64, length=68, file=128");
    fails(
        tensor("w", 0, -32, 1).pad(128),
        "tensor w: past end of file: offset=18446744073709551584 of the data at 64, length=4,"
            + " file=128");
    fails(
        tensor("w", 0, Long.MAX_VALUE - 31, 1).pad(128),
        "tensor w: past end of file: offset=9223372036854775776 of the data at 64, length=4,"
            + " file=128");
  }

  @Test
  void overlapsAndDuplicates() throws Exception {
    fails(
        tensors(2).entry("a", 0, 32, 8).entry("b", 0, 0, 9).pad(256),
        "tensor a: overlaps tensor b: offset=128, the other ends at 132");
    fails(
        tensors(2).entry("a", 0, 0, 8).entry("b", 0, 0, 8).pad(256),
        "tensor b: overlaps tensor a: offset=96, the other ends at 128");
    fails(
        tensors(2).entry("a", 0, 0, 8).entry("a", 0, 32, 8).pad(256),
        "tensor a: stands twice in the file");
  }

  // Systematic damage

  @Test
  void aFileCutAnywhereIsRefused() throws Exception {
    byte[] whole = Files.readAllBytes(Samples.write(folder));
    long dataEnd;
    try (var file = GgufFile.open(folder.resolve("small.gguf"))) {
      dataEnd = file.tensors().stream().mapToLong(t -> t.offset() + t.bytes()).max().orElseThrow();
    }
    assertThat(dataEnd).isBetween(whole.length - 63L, (long) whole.length);
    Path path = folder.resolve("cut.gguf");
    for (int length = 0; length < dataEnd; length++) {
      Files.write(path, Arrays.copyOf(whole, length));
      assertThatExceptionOfType(FormatException.class)
          .as("cut at %d", length)
          .isThrownBy(() -> GgufFile.open(path))
          .withMessageContaining("cut.gguf: ")
          .withMessageNotContaining("\n");
    }
    Files.write(path, Arrays.copyOf(whole, (int) dataEnd)); // only padding is missing
    GgufFile.open(path).close();
  }

  @Test
  void anyByteMayBeWrong() throws Exception {
    byte[] whole = sample();
    Path path = folder.resolve("damaged.gguf");
    for (int at = 0; at < whole.length; at++) {
      for (int value : new int[] {0, 0xff, whole[at] ^ 1, whole[at] ^ 0x80}) {
        byte[] damaged = whole.clone();
        damaged[at] = (byte) value;
        openOrRefuse(path, damaged);
      }
    }
  }

  @Test
  void anyFieldsMayBeWrong() throws Exception {
    byte[] whole = sample();
    long[] extremes = {
      0, 1, -1, Long.MAX_VALUE, Long.MIN_VALUE, 1L << 32, (1L << 32) - 1, 1L << 31, 1L << 61, 32
    };
    Path path = folder.resolve("damaged.gguf");
    Seeds.check(
        random -> {
          for (int run = 0; run < 1500; run++) {
            byte[] damaged = whole.clone();
            for (int change = random.nextInt(1, 4); change > 0; change--) {
              int at = random.nextInt(damaged.length - 8);
              ByteBuffer bytes = ByteBuffer.wrap(damaged).order(ByteOrder.LITTLE_ENDIAN);
              switch (random.nextInt(4)) {
                case 0 -> bytes.putLong(at, extremes[random.nextInt(extremes.length)]);
                case 1 -> bytes.putInt(at, random.nextInt());
                case 2 -> bytes.put(at, (byte) random.nextInt());
                default -> { // a run of bytes from elsewhere
                  int from = random.nextInt(damaged.length - 8);
                  System.arraycopy(whole, from, damaged, at, 8);
                }
              }
            }
            openOrRefuse(path, damaged);
          }
        });
  }

  /** Opens a file, looks at all of it, and allows nothing but success or a clear refusal. */
  private static void openOrRefuse(Path path, byte[] bytes) throws IOException {
    Files.write(path, bytes);
    long before = Allocations.bytes();
    try (var file = GgufFile.open(path)) {
      for (String key : file.metadata().keys()) {
        if (file.metadata().value(key).orElseThrow().label().equals("array of string")) {
          file.metadata().requireStrings(key);
        }
        file.metadata().value(key).orElseThrow().toString();
      }
      WeightCheck.scan(file);
      file.sha256();
    } catch (FormatException e) {
      assertThat(e.getMessage()).startsWith("damaged.gguf: ");
    } catch (Throwable e) {
      fail("another exception than FormatException", e);
    }
    long allocated = Allocations.bytes() - before;
    assertThat(allocated).as("bytes allocated").isLessThan(4 << 20);
  }

  private byte[] sample() throws IOException {
    byte[] inner = new Bytes().int32(8).int64(2).string("a").string("bc").all();
    Metadata metadata =
        Samples.metadata().with("nested", MetadataArray.packed(MetadataType.ARRAY, 1, inner));
    Path path = folder.resolve("sample.gguf");
    Samples.writer(metadata).write(path);
    return Files.readAllBytes(path);
  }

  @Test
  void theWriterReplacesAFileOnlyWhenDone() throws Exception {
    Path path = Samples.write(folder);
    byte[] before = Files.readAllBytes(path);
    var writer =
        new GgufWriter(Metadata.of("test", Map.of()))
            .add(
                "w",
                GgufType.F32,
                new long[] {1},
                () -> {
                  throw new IllegalStateException("no data");
                });
    assertThatExceptionOfType(IllegalStateException.class).isThrownBy(() -> writer.write(path));
    assertThat(Files.readAllBytes(path)).isEqualTo(before);
    assertThat(folder.toFile().list()).containsExactly("small.gguf");
  }

  private void fails(Bytes bytes, String message) throws IOException {
    Path path = Files.write(folder.resolve("bad.gguf"), bytes.all());
    fails(path, "bad.gguf: " + message);
  }

  private static void fails(Path path, String message) {
    assertThatExceptionOfType(FormatException.class)
        .isThrownBy(() -> GgufFile.open(path))
        .withMessage(message);
  }

  private static Bytes keys(int count) {
    return new Bytes().text("GGUF").int32(3).int64(0).int64(count);
  }

  private static Bytes key(String name, int type) {
    return keys(1).string(name).int32(type);
  }

  private static Bytes tensors(int count) {
    return new Bytes().text("GGUF").int32(3).int64(count).int64(0);
  }

  private static Bytes tensor(String name, int type, long offset, long... shape) {
    return tensors(1).entry(name, type, offset, shape);
  }

  /** A file put together field by field. */
  private static final class Bytes {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    Bytes bytes(int... values) {
      for (int value : values) {
        out.write(value);
      }
      return this;
    }

    Bytes text(String latin) {
      out.writeBytes(latin.getBytes(StandardCharsets.ISO_8859_1));
      return this;
    }

    Bytes int32(int value) {
      return bytes(value, value >> 8, value >> 16, value >> 24);
    }

    Bytes int64(long value) {
      return int32((int) value).int32((int) (value >> 32));
    }

    Bytes string(String text) {
      return int64(text.length()).text(text);
    }

    Bytes entry(String name, int type, long offset, long... shape) {
      string(name).int32(shape.length);
      for (long dimension : shape) {
        int64(dimension);
      }
      return int32(type).int64(offset);
    }

    Bytes pad(int size) {
      out.writeBytes(new byte[size - out.size()]);
      return this;
    }

    byte[] all() {
      return out.toByteArray();
    }
  }
}
