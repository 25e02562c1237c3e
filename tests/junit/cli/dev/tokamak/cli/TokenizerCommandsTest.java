// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.testing.TestData;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

class TokenizerCommandsTest {
  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  @Test
  void tokenizesTextsFilesAndStandardInput() {
    JsonNode json = Cli.run("tokenize", "-m", Cli.stories(), "-p", "Once upon", "--json").json();
    assertThat(json.toString())
        .isEqualTo("{\"tokens\":[1,403,407],\"pieces\":[\"<s>\",\"▁Once\",\"▁upon\"]}");
    assertThat(Cli.runWith(utf8("Once upon"), "tokenize", "-m", Cli.stories(), "--json").json())
        .isEqualTo(json);
    assertThat(Cli.run("tokenize", "-m", Cli.stories(), "-p", "Once upon", "--no-bos").done().out())
        .isEqualTo("    403  \"▁Once\"\n    407  \"▁upon\"\n");
    // Text that looks like an option.
    assertThat(Cli.run("tokenize", "-m", Cli.stories(), "-p", "-hello").done().out())
        .contains("\"-\"");
    assertThat(Cli.run("tokenize", "-m", Cli.stories(), "-p", "", "--json").json().get("tokens"))
        .hasSize(1);
  }

  @Test
  void tokenizersOfOtherKindsOfFiles() {
    Path files = CaseFiles.path("tokenizer/files");
    String json = files.resolve("bpe-qwen2.json").toString();
    JsonNode tokens = Cli.run("tokenize", "-m", json, "-p", "loka", "--json").json();
    assertThat(tokens.get("pieces").toString())
        .isEqualTo("[\"<|im_start|>\",\"lo\",\"ka\",\"<|im_end|>\"]");
    String model = files.resolve("unigram.model").toString();
    tokens = Cli.run("tokenize", "-m", model, "-p", "loka 日", "--json").json();
    assertThat(tokens.get("pieces").toString())
        .isEqualTo("[\"▁lo\",\"ka\",\"▁\",\"<0xE6>\",\"<0x97>\",\"<0xA5>\"]");
    String ids = tokens.get("tokens").toString().replaceAll("[\\[\\]]", "");
    assertThat(
            Cli.run("detokenize", "-m", model, "--tokens", ids, "--json")
                .json()
                .get("text")
                .asString())
        .isEqualTo("loka 日");
  }

  @Test
  void specialTokensOnlyWhereAskedFor() {
    String[] plain = {"tokenize", "-m", Cli.stories(), "--no-bos", "--json", "-p", "a</s>"};
    assertThat(Cli.run(plain).json().get("tokens").size()).isGreaterThan(2);
    String[] special = {
      "tokenize", "-m", Cli.stories(), "--no-bos", "--json", "--special", "-p", "a</s>"
    };
    assertThat(Cli.run(special).json().get("tokens").toString()).endsWith(",2]");
    assertThat(Cli.run("detokenize", "-m", Cli.stories(), "--tokens", "403,2").done().out())
        .isEqualTo("Once\n");
    assertThat(
            Cli.run("detokenize", "-m", Cli.stories(), "--tokens", "403,2", "--special")
                .done()
                .out())
        .isEqualTo("Once</s>\n");
  }

  @Test
  void linesBothWays() {
    String vocabulary = TestData.path("tokenizers/ggml-vocab-gpt-2.gguf").toString();
    String texts = "\"Hello, world\"\n\"\"\n\"\\u00e9\\n\ud83d\ude00\"\n";
    Cli.Result there = Cli.runWith(utf8(texts), "tokenize", "-m", vocabulary, "--jsonl").done();
    assertThat(there.out().lines()).hasSize(3);
    var ids = new StringBuilder();
    there.out().lines().forEach(line -> ids.append(Cli.json(line).get("tokens")).append('\n'));
    Cli.Result back =
        Cli.runWith(utf8(ids.toString()), "detokenize", "-m", vocabulary, "--jsonl").done();
    assertThat(back.out().lines().map(line -> Cli.json(line).get("text").asString()))
        .containsExactly("Hello, world", "", "é\n\ud83d\ude00");
  }

  @Test
  void aBadLineIsNamedByItsNumber() {
    for (String bad : new String[] {"{}", "\"a", "[1]", "", "\"a\" \"b\"", "\"a\\u00zz\""}) {
      Cli.Result result =
          Cli.runWith(utf8("\"a\"\n" + bad + "\n"), "tokenize", "-m", Cli.stories(), "--jsonl");
      assertThat(result.status()).as(bad).isEqualTo(1);
      assertThat(result.err()).startsWith("tokamak: standard input: line 2: ").hasLineCount(1);
      assertThat(result.out().lines()).hasSize(1);
    }
    Cli.Result ids = Cli.runWith(utf8("[1,\"x\"]"), "detokenize", "-m", Cli.stories(), "--jsonl");
    assertThat(ids.err()).contains("line 1: expected an array of token ids");
    byte[] notUtf8 = {'"', 'a', (byte) 0xc3, '"'};
    assertThat(Cli.runWith(notUtf8, "tokenize", "-m", Cli.stories(), "--jsonl").err())
        .contains("line 1: not UTF-8: byte 0xc3");
  }

  @Test
  void detokenizeReadsIdsFromStandardInput() {
    for (String ids : new String[] {"1,403,407", "1 403\n407\n", " 1, 403, 407 "}) {
      Cli.Result result = Cli.runWith(utf8(ids), "detokenize", "-m", Cli.stories(), "--json");
      assertThat(result.json().get("text").asString()).isEqualTo("Once upon");
    }
  }
}
