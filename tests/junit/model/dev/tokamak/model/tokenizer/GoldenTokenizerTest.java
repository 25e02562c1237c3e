// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.format.gguf.GgufFile;
import dev.tokamak.testing.Seeds;
import dev.tokamak.testing.TestData;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.text.Normalizer;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** Real vocabularies against what other programs make of the same texts. */
class GoldenTokenizerTest {
  private static final String SPACE_PIECE = "▁";

  @ParameterizedTest
  @CsvSource({
    "stories260K-gguf, models/stories260K-F32.gguf",
    "ggml-vocab-phi-3, tokenizers/ggml-vocab-phi-3.gguf",
    "ggml-vocab-gpt-2, tokenizers/ggml-vocab-gpt-2.gguf",
    "ggml-vocab-falcon, tokenizers/ggml-vocab-falcon.gguf",
    "ggml-vocab-mpt, tokenizers/ggml-vocab-mpt.gguf",
  })
  void idsAreLlamaCpps(String golden, String model) throws IOException {
    JsonNode cases =
        TokenizerJson.read(TestData.path("tokenizers/golden/" + golden + ".json")).get("cases");
    Tokenizer tokenizer = tokenizer(model);
    assertThat(cases.size()).isGreaterThan(100);
    for (JsonNode test : cases) {
      String text = test.get("text").asString();
      int[] ids = ids(test.get("ids"));
      assertThat(tokenizer.encode(text, false, true)).as(text).containsExactly(ids);
      // SentencePiece writes a space as this character, and reads it as one.
      boolean exact = !(tokenizer instanceof SentencePiece && text.contains(SPACE_PIECE));
      assertThat(tokenizer.decodeWithSpecial(ids))
          .isEqualTo(exact ? text : text.replace(SPACE_PIECE, " "));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"phi-3", "gpt-2", "falcon", "mpt"})
  void idsAreThoseOfLlamaCppsOwnVectors(String name) throws IOException {
    Path inputs = TestData.path("tokenizers/golden/ggml-vocab-" + name + ".gguf.inp");
    Path outputs = TestData.path("tokenizers/golden/ggml-vocab-" + name + ".gguf.out");
    String[] texts = Files.readString(inputs).split("\n__ggml_vocab_test__\n", -1);
    List<String> lines = Files.readAllLines(outputs);
    Tokenizer tokenizer = tokenizer("tokenizers/ggml-vocab-" + name + ".gguf");
    assertThat(lines).hasSize(texts.length - 1); // the parting line stands after the last text too
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i).strip();
      int[] ids =
          line.isEmpty()
              ? new int[0]
              : Arrays.stream(line.split(" ")).mapToInt(Integer::parseInt).toArray();
      assertThat(tokenizer.encode(texts[i], false, false)).as(texts[i]).containsExactly(ids);
      assertThat(tokenizer.decode(ids)).isEqualTo(texts[i]);
    }
  }

  /** Qwen's own tokenizer first brings a text into NFC, which a GGUF file does not say. */
  @ParameterizedTest
  @CsvSource({
    "gpt2, gpt2.tokenizer.json.gz, gpt-2, false",
    "stories-bpe-2k, stories-bpe-2k.tokenizer.json, gpt-2, false",
    "qwen3, qwen3.tokenizer.json.gz, qwen2, true",
  })
  void idsAreHuggingFaces(String golden, String file, String pre, boolean nfc) throws IOException {
    JsonNode cases =
        TokenizerJson.read(TestData.path("tokenizers/golden/" + golden + ".json")).get("cases");
    Tokenizer tokenizer =
        Tokenizer.of(TokenizerJson.metadata(TestData.path("tokenizers/" + file), pre));
    assertThat(cases.size()).isGreaterThan(100);
    for (JsonNode test : cases) {
      String text = test.get("text").asString();
      String normal = nfc ? Normalizer.normalize(text, Normalizer.Form.NFC) : text;
      int[] ids = ids(test.get("ids"));
      assertThat(tokenizer.encode(normal, false, true)).as(text).containsExactly(ids);
      assertThat(tokenizer.decodeWithSpecial(ids)).isEqualTo(normal);
    }
  }

  @ParameterizedTest
  @CsvSource({
    // model, BOS, EOS, whether BOS goes in front, what ends a generation
    "models/stories260K-F32.gguf, 1, 2, true, 2",
    "tokenizers/ggml-vocab-phi-3.gguf, 1, 32000, true, 2 32000 32007",
    "tokenizers/ggml-vocab-gpt-2.gguf, 50256, 50256, false, 50256",
    "tokenizers/ggml-vocab-falcon.gguf, 11, 11, false, 11",
    "tokenizers/ggml-vocab-mpt.gguf, 0, 0, false, 0",
  })
  void specialTokensAreThoseOfLlamaCpp(
      String model, int bos, int eos, boolean addBos, String ends) {
    Tokenizer tokenizer = tokenizer(model);
    assertThat(tokenizer.bos()).hasValue(bos);
    assertThat(tokenizer.eos()).hasValue(eos);
    assertThat(tokenizer.addBos()).isEqualTo(addBos);
    assertThat(tokenizer.addEos()).isFalse();
    assertThat(tokenizer.ends())
        .containsExactly(Arrays.stream(ends.split(" ")).mapToInt(Integer::parseInt).toArray());
    assertThat(tokenizer.encode("", true, false))
        .containsExactly(addBos ? new int[] {bos} : new int[0]);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "models/stories260K-F32.gguf",
        "tokenizers/ggml-vocab-phi-3.gguf",
        "tokenizers/ggml-vocab-gpt-2.gguf",
        "tokenizers/ggml-vocab-mpt.gguf",
      })
  void anyTextComesBack(String model) {
    Tokenizer tokenizer = tokenizer(model);
    Seeds.check(
        random -> {
          for (int i = 0; i < 300; i++) {
            String text = RandomText.any(random, 60).replace(SPACE_PIECE, "");
            RandomText.checkRoundTrip(tokenizer, text);
          }
        });
  }

  @Test
  void bytesWithoutATokenAreLeftOut() {
    Tokenizer tokenizer = tokenizer("tokenizers/ggml-vocab-falcon.gguf");
    assertThat(tokenizer.decode(tokenizer.encode("a\ud83d\ude00b", false, false)))
        .isEqualTo("a\ud83d\ude00b");
    // Falcon has no token for byte F2, which U+80000 begins with, nor for byte 03.
    assertThat(tokenizer.encode("\ud9c0\udc00", false, false)).hasSize(3);
    assertThat(tokenizer.encode("\u0003", false, false)).isEmpty();
  }

  @Test
  void everyTokenComesBackFromItsBytes() {
    Tokenizer tokenizer = tokenizer("tokenizers/ggml-vocab-gpt-2.gguf");
    int same = 0;
    for (int id = 0; id < tokenizer.vocabularySize(); id++) {
      byte[] bytes = tokenizer.bytes(id);
      String text = new String(bytes, StandardCharsets.UTF_8);
      if (Arrays.equals(text.getBytes(StandardCharsets.UTF_8), bytes)) {
        int[] ids = tokenizer.encode(text, false, true);
        assertThat(tokenizer.decodeWithSpecial(ids)).isEqualTo(text);
        same += ids.length == 1 && ids[0] == id ? 1 : 0;
      }
    }
    assertThat(same).isGreaterThan(40_000);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "models/stories260K-F32.gguf",
        "tokenizers/ggml-vocab-phi-3.gguf",
        "tokenizers/ggml-vocab-gpt-2.gguf",
        "tokenizers/ggml-vocab-falcon.gguf",
        "tokenizers/ggml-vocab-mpt.gguf",
      })
  @Timeout(value = 60, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aMegabyteOfOneCharacter(String model) {
    Tokenizer tokenizer = tokenizer(model);
    for (String one : List.of("a", " ", "1", "😀")) {
      String text = one.repeat(1_000_000 / one.length());
      int[] ids = tokenizer.encode(text, false, true);
      assertThat(tokenizer.decode(ids)).isEqualTo(text);
    }
  }

  private static Tokenizer tokenizer(String file) {
    try (GgufFile gguf = GgufFile.open(TestData.path(file))) {
      Metadata metadata = gguf.metadata();
      return Tokenizer.of(metadata);
    }
  }

  private static int[] ids(JsonNode array) {
    int[] ids = new int[array.size()];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = array.get(i).asInt();
    }
    return ids;
  }
}
