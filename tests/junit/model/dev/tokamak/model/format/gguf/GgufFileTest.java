// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format.gguf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Tensor;
import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.format.MetadataArray;
import dev.tokamak.model.format.MetadataType;
import dev.tokamak.testing.TestData;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GgufFileTest {
  @TempDir Path folder;

  @Test
  void whatIsWrittenIsRead() throws Exception {
    Path path = Samples.write(folder);
    Metadata written = Samples.metadata();
    try (var file = GgufFile.open(path)) {
      assertThat(file.path()).isEqualTo(path);
      assertThat(file.paths()).containsExactly(path);
      assertThat(file.version()).isEqualTo(3);
      assertThat(file.bytes()).isEqualTo(Files.size(path));
      assertSame(file.metadata(), written);
      assertThat(file.metadata().source()).isEqualTo("small.gguf");

      assertThat(file.tensors())
          .map(TensorInfo::toString)
          .containsExactly("norm F32 [5]", "half F16 [4, 3]", "quant Q8_0 [32, 2, 2]");
      assertThat(file.tensors()).allMatch(tensor -> tensor.offset() % 64 == 0);
      TensorInfo norm = file.info("norm").orElseThrow();
      assertThat(norm.data().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED)).isEqualTo(Samples.floats());
      TensorInfo quant = file.info("quant").orElseThrow();
      assertThat(quant.bytes()).isEqualTo(136);
      assertThat(quant.elements()).isEqualTo(128);
      assertThat(quant.data().mismatch(Samples.bytes(136, 2))).isEqualTo(-1);

      Tensor tensor = file.tensor("quant").orElseThrow();
      assertThat(tensor.type()).isEqualTo(QuantType.Q8_0);
      assertThat(tensor.rows()).isEqualTo(4);
      assertThat(tensor.cols()).isEqualTo(32);
      assertThat(file.tensor("norm").orElseThrow().rows()).isEqualTo(1);
      assertThat(file.info("none")).isEmpty();
      assertThat(file.tensor("none")).isEmpty();
    }
  }

  @Test
  void theSameInputGivesTheSameBytes() throws Exception {
    byte[] first = Files.readAllBytes(Samples.write(folder));
    assertThat(Files.readAllBytes(Samples.write(folder))).isEqualTo(first);
    assertThat(folder.toFile().list()).containsExactly("small.gguf");
  }

  @Test
  void version2HasTheSameBytes() throws Exception {
    Path path = Samples.write(folder);
    byte[] bytes = Files.readAllBytes(path);
    bytes[4] = 2;
    Files.write(path, bytes);
    try (var file = GgufFile.open(path)) {
      assertThat(file.version()).isEqualTo(2);
      assertSame(file.metadata(), Samples.metadata());
      assertThat(file.tensors()).hasSize(3);
    }
  }

  @Test
  void nestedArraysAreRead() throws Exception {
    byte[] packed = HexFormat.of().parseHex("05000000" + "0100000000000000" + "07000000");
    var array = MetadataArray.packed(MetadataType.ARRAY, 1, packed);
    Path path = folder.resolve("nested.gguf");
    new GgufWriter(Metadata.of("test", Map.of("k", array))).write(path);
    try (var file = GgufFile.open(path)) {
      assertThat(file.metadata().value("k").orElseThrow()).hasToString("[[7]]");
      assertThat(file.metadata().value("k").orElseThrow().label())
          .isEqualTo("array of array of int32");
    }
  }

  @Test
  void metadataStaysAfterClose() throws Exception {
    var file = GgufFile.open(Samples.write(folder));
    file.close();
    assertThat(file.metadata().requireStrings("tokenizer.ggml.tokens")).hasSize(3);
  }

  @Test
  void aRequiredTensorIsCheckedForShape() throws Exception {
    try (var file = GgufFile.open(Samples.write(folder))) {
      assertThat(file.requireTensor("half", 3, 4).name()).isEqualTo("half");
      assertThatExceptionOfType(FormatException.class)
          .isThrownBy(() -> file.requireTensor("half", 4, 3))
          .withMessage("small.gguf: tensor half: expected shape [3, 4], found [4, 3]");
      assertThatExceptionOfType(FormatException.class)
          .isThrownBy(() -> file.requireTensor("blk.0.x", 4, 3))
          .withMessage("small.gguf: tensor blk.0.x: missing, expected shape [3, 4]");
    }
  }

  @Test
  void aTypeWithoutKernelsIsListedAndRefusedWhenAskedFor() throws Exception {
    Path path = folder.resolve("q5.gguf");
    new GgufWriter(Metadata.of("test", Map.of()))
        .add("w", GgufType.Q5_0, new long[] {32, 2}, () -> Samples.bytes(44, 1))
        .write(path);
    try (var file = GgufFile.open(path)) {
      assertThat(file.info("w").orElseThrow()).hasToString("w Q5_0 [32, 2]");
      assertThatExceptionOfType(FormatException.class)
          .isThrownBy(() -> file.tensor("w"))
          .withMessageStartingWith(
              "q5.gguf: tensor w: type Q5_0 is not supported; supported: F32, F16, ");
    }
  }

  @Test
  void typesAgreeWithTheEngine() {
    for (QuantType type : QuantType.values()) {
      GgufType row = GgufType.of(type);
      assertThat(row.name()).isEqualTo(type.name());
      assertThat(row.blockElements()).isEqualTo(type.blockElements());
      assertThat(row.blockBytes()).isEqualTo(type.blockBytes());
    }
  }

  @Test
  void sha256IsThatOfTheBytes() throws Exception {
    Path path = Samples.write(folder);
    try (var file = GgufFile.open(path)) {
      byte[] expected = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(path));
      assertThat(file.sha256()).isEqualTo(HexFormat.of().formatHex(expected));
    }
  }

  @Test
  void theWriterRefusesWhatTheReaderWould() {
    var writer = new GgufWriter(Metadata.of("test", Map.of()));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> writer.add("w", GgufType.Q8_0, new long[] {33}, null));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> writer.add("w", GgufType.F32, new long[] {1, 0}, null));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> writer.add("w", GgufType.F32, new long[] {}, null));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> writer.add("w".repeat(65), GgufType.F32, new long[] {1}, null));
    writer.add("w", GgufType.F32, new long[] {1}, () -> MemorySegment.ofArray(new float[2]));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> writer.add("w", GgufType.F32, new long[] {1}, null));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> writer.write(folder.resolve("w.gguf")))
        .withMessage("tensor w: bytes=8, expected 4");
    assertThat(folder).isEmptyDirectory();
    assertThatExceptionOfType(FormatException.class)
        .isThrownBy(() -> new GgufWriter(Metadata.of("test", Map.of("general.alignment", 48))))
        .withMessage(
            "test: metadata key general.alignment:"
                + " expected a power of two from 8 to 1048576, found 48");
  }

  @Test
  void anyPieceOpensAllOfASplitModel() throws Exception {
    Samples.writePieces(folder, 3);
    for (int i = 1; i <= 3; i++) {
      try (var file = GgufFile.open(folder.resolve("m-0000" + i + "-of-00003.gguf"))) {
        assertThat(file.paths()).hasSize(3);
        assertThat(file.metadata().string("general.architecture")).contains("llama");
        assertThat(file.tensors()).map(TensorInfo::name).containsExactly("t0", "t1", "t2");
        TensorInfo last = file.info("t2").orElseThrow();
        assertThat(last.file()).isEqualTo("m-00003-of-00003.gguf");
        assertThat(last.data().mismatch(Samples.bytes(32, 2))).isEqualTo(-1);
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        for (Path piece : file.paths()) {
          digest.update(Files.readAllBytes(piece));
        }
        assertThat(file.sha256()).isEqualTo(HexFormat.of().formatHex(digest.digest()));
      }
    }
  }

  @Test
  void aMissingPieceIsNamed() throws Exception {
    Samples.writePieces(folder, 3);
    Path missing = folder.resolve("m-00002-of-00003.gguf");
    Files.delete(missing);
    fails(
        folder.resolve("m-00001-of-00003.gguf"),
        missing + ": missing: piece 2 of 3 of the model of m-00001-of-00003.gguf");
  }

  @Test
  void piecesThatDoNotBelongTogetherAreRefused() throws Exception {
    Samples.writePieces(folder, 2);
    Path first = folder.resolve("m-00001-of-00002.gguf");
    Path second = folder.resolve("m-00002-of-00002.gguf");

    Samples.writePiece(folder, 1, 2, Map.of("split.no", 0), "t1");
    fails(first, "m-00002-of-00002.gguf: metadata key split.no: expected 1, found 0");
    Samples.writePiece(folder, 1, 2, Map.of("split.count", 3), "t1");
    fails(first, "m-00002-of-00002.gguf: metadata key split.count: expected 2, found 3");
    Samples.writePiece(folder, 1, 2, Map.of("split.tensors.count", 9), "t1");
    fails(first, "m-00002-of-00002.gguf: metadata key split.tensors.count: expected 2, found 9");
    Samples.writePiece(folder, 1, 2, Map.of(), "t0");
    fails(first, "m-00002-of-00002.gguf: tensor t0: stands in m-00001-of-00002.gguf too");

    Samples.writePiece(folder, 0, 2, Map.of("split.tensors.count", 3), "t0");
    Samples.writePiece(folder, 1, 2, Map.of("split.tensors.count", 3), "t1");
    fails(
        second,
        "m-00002-of-00002.gguf: metadata key split.tensors.count:"
            + " says 3 tensors, the 2 pieces hold 2");

    Path renamed = Files.move(first, folder.resolve("renamed.gguf"));
    fails(
        renamed,
        "renamed.gguf: metadata key split.count: one of 2 pieces,"
            + " expected a name such as NAME-00001-of-00002.gguf");
  }

  @Test
  void splitCountsOfZeroAndOneMeanWhole() throws Exception {
    for (int count : new int[] {0, 1}) {
      Path path = folder.resolve("whole.gguf");
      Samples.writer(Samples.metadata().with("split.count", count)).write(path);
      try (var file = GgufFile.open(path)) {
        assertThat(file.tensors()).hasSize(3);
      }
    }
  }

  @Test
  void theStoryModelOpens() {
    try (var file = GgufFile.open(TestData.path("models/stories260K-F32.gguf"))) {
      assertThat(file.metadata().requireString("general.architecture")).isEqualTo("llama");
      assertThat(file.metadata().requireInt("llama.block_count")).isEqualTo(5);
      assertThat(file.metadata().requireStrings("tokenizer.ggml.tokens")).hasSize(512);
      assertThat(file.metadata().floats("tokenizer.ggml.scores").orElseThrow()).hasSize(512);
      Tensor query = file.requireTensor("blk.0.attn_q.weight", 64, 64);
      assertThat(query.type()).isEqualTo(QuantType.F32);
    }
  }

  @Test
  void realModelsAndVocabulariesOpenAndCopyUnchanged() throws Exception {
    var paths = new HashMap<String, Path>();
    for (String sub : List.of("models", "tokenizers", "golden/tiny")) {
      try (Stream<Path> walk = Files.walk(TestData.path(sub))) {
        walk.filter(p -> p.toString().endsWith(".gguf")).forEach(p -> paths.put(p.toString(), p));
      }
    }
    assertThat(paths).hasSizeGreaterThan(25);
    for (Path path : paths.values()) {
      try (var file = GgufFile.open(path)) {
        var writer = new GgufWriter(file.metadata());
        for (TensorInfo tensor : file.tensors()) {
          assertThat(tensor.tensor().data()).isSameAs(tensor.data());
          writer.add(tensor.name(), tensor.type(), tensor.shape(), tensor::data);
        }
        Path copy = folder.resolve("copy.gguf");
        writer.write(copy);
        // some writers leave the padding after the last byte away
        assertThat(Files.mismatch(path, copy)).as("%s", path).isIn(-1L, Files.size(path));
        assertThat(Files.size(copy) - Files.size(path)).as("%s", path).isBetween(0L, 31L);
        assertThat(WeightCheck.scan(file).findings()).as("%s", path).isEmpty();
      }
    }
  }

  @Test
  void aVocabularyOf256kStringsOpensQuickly() throws Exception {
    String[] tokens = new String[256 * 1024];
    Arrays.setAll(tokens, i -> "Ġtoken" + i);
    Path path = folder.resolve("vocabulary.gguf");
    Metadata metadata =
        Metadata.of(
            "test",
            Map.of(
                "tokenizer.ggml.tokens", tokens,
                "tokenizer.ggml.scores", new float[tokens.length],
                "tokenizer.ggml.token_type", new int[tokens.length]));
    new GgufWriter(metadata).write(path);
    long best = Long.MAX_VALUE;
    for (int run = 0; run < 5; run++) {
      long start = System.nanoTime();
      try (var file = GgufFile.open(path)) {
        assertThat(file.metadata().requireStrings("tokenizer.ggml.tokens").getLast())
            .isEqualTo("Ġtoken262143");
      }
      best = Math.min(best, System.nanoTime() - start);
    }
    System.out.println("256k strings opened and decoded in " + best / 1_000_000 + " ms");
    assertThat(best).as("nanoseconds").isLessThan(500_000_000L); // takes about 20 ms
  }

  private static void assertSame(Metadata found, Metadata expected) {
    assertThat(found.keys()).containsExactlyElementsOf(expected.keys());
    for (String key : expected.keys()) {
      assertThat(found.value(key).orElseThrow().label())
          .isEqualTo(expected.value(key).orElseThrow().label());
      assertThat(found.value(key).orElseThrow())
          .hasToString(expected.value(key).orElseThrow().toString());
    }
  }

  private static void fails(Path path, String message) {
    assertThatExceptionOfType(FormatException.class)
        .isThrownBy(() -> GgufFile.open(path))
        .withMessage(message);
  }
}
