// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.model.format.FormatException;
import dev.tokamak.testing.Seeds;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Files that are not sound, or want what no tokenizer here can do: one line with file and place.
 */
class TokenizerJsonTest {
  private static final Path FILES = CaseFile.folder().resolve("files");

  @TempDir private Path folder;

  /** In each row: a file, a text in it, what takes its place, and the message. */
  @ParameterizedTest
  @CsvSource(
      delimiterString = " | ",
      quoteCharacter = '`',
      textBlock =
          """
          bpe-gpt2  | "BPE"                 | "WordLevel"     | model.type: expected BPE, Unigram or WordPiece, found WordLevel
          bpe-gpt2  | "type":"BPE"          | "typ":"BPE"     | model.type: missing, expected string
          bpe-gpt2  | "dropout":null        | "dropout":0.1   | model.dropout: 0.1 is not supported
          bpe-gpt2  | "continuing_subword_prefix":null | "continuing_subword_prefix":"##" | model.continuing_subword_prefix: ## is not supported
          bpe-gpt2  | "end_of_word_suffix":null | "end_of_word_suffix":"</w>" | model.end_of_word_suffix: </w> is not supported
          bpe-gpt2  | "byte_fallback":false | "byte_fallback":true | model.byte_fallback: true is not supported
          bpe-gpt2  | "byte_fallback":false | "byte_fallback":1 | model.byte_fallback: 1.0 is not supported
          bpe-gpt2  | "ignore_merges":false | "ignore_merges":true | pre_tokenizer: splitting is not known beside ignore_merges: 'ByteLevel'
          bpe-gpt2  | "add_prefix_space":false | "add_prefix_space":true | pre_tokenizer.add_prefix_space: true is not supported
          bpe-gpt2  | "normalizer":null     | "normalizer":{"type":"Lowercase"} | normalizer.type: Lowercase is not supported
          bpe-gpt2  | "post_processor":null | "post_processor":{"type":"Odd"} | post_processor.type: Odd is not supported
          bpe-gpt2  | "post_processor":null | "post_processor":{"type":"BertProcessing","cls":[]} | post_processor.cls: expected a token and its id
          bpe-gpt2  | "single_word":false   | "single_word":true | added_tokens[0].single_word: true is not supported, for token '<|endoftext|>'
          bpe-gpt2  | "lstrip":false        | "lstrip":true   | added_tokens[0].lstrip: true is not supported, for token '<|endoftext|>'
          bpe-gpt2  | "unk_token":null      | "unk_token":"?!" | model.unk_token: '?!' is no token
          bpe-gpt2  | "id":1,               | "id":-1,        | added_tokens[1].id: expected a whole number, 0 to 4194303, found -1.0
          bpe-gpt2  | "id":1,               | "id":1.5,       | added_tokens[1].id: expected a whole number, 0 to 4194303, found 1.5
          bpe-gpt2  | "id":1,               | "id":1e999,     | added_tokens[1].id: expected a whole number, 0 to 4194303, found Infinity
          bpe-gpt2  | "id":1,               | "id":7,         | added_tokens[1]: id 7 is that of '%' in the vocabulary
          bpe-gpt2  | "id":1,               | "id":320,       | metadata key tokenizer.ggml.tokens: token '<|im_start|>' stands twice: as 1 and as 320
          bpe-gpt2  | "!":3                 | "!":4           | model.vocab.\\": id 4 is that of '!' too
          bpe-gpt2  | "!":3                 | "!":"3"         | model.vocab.!: expected a number, found '3'
          bpe-gpt2  | "!":3                 | "!":4194304     | model.vocab.!: expected a whole number, 0 to 4194303, found 4194304.0
          bpe-gpt2  | "merges":[            | "merges":["x",  | metadata key tokenizer.ggml.merges[0]: expected two tokens that make a third, found 'x'
          bpe-gpt2  | "merges":[            | "merges":[["x"], | model.merges[0]: expected two tokens, found 1
          bpe-gpt2  | "merges":[            | "merges":[["a b","c"], | model.merges[0][0]: a token with a space in it is not supported: 'a b'
          bpe-gpt2  | "merges":[            | "merges":[[1,2], | model.merges[0][0]: expected string, found 1.0
          bpe-qwen2 | Isolated              | MergedWithNext  | pre_tokenizer.pretokenizers[0].behavior: MergedWithNext is not supported
          bpe-qwen2 | "NFC"                 | "StripAccents"  | normalizer.type: StripAccents is not supported
          wordpiece | "clean_text":true     | "clean_text":false | normalizer.clean_text: false is not supported
          wordpiece | "strip_accents":null  | "strip_accents":false | normalizer.strip_accents: false is not supported where lowercase is true
          wordpiece | "BertPreTokenizer"    | "Whitespace"    | pre_tokenizer.type: Whitespace is not supported
          wordpiece | "unk_token":"[UNK]"   | "unk_token":"[unk]" | model.unk_token: '[unk]' is no token
          wordpiece | "max_input_chars_per_word":100 | "max_input_chars_per_word":50 | model.max_input_chars_per_word: 50.0 is not supported
          wordpiece | "cleanup":true        | "cleanup":false | decoder.cleanup: false is not supported
          unigram   | "byte_fallback":true  | "byte_fallback":false | model.byte_fallback: false is not supported where there are tokens for bytes
          unigram   | "unk_id":0            | "unk_id":330    | model.unk_id: expected a whole number, 0 to 329, found 330.0
          unigram   | "unk_id":0            | "unk_id":null   | model.unk_id: missing: a model without an unknown token is not supported
          unigram   | "always"              | "first"         | pre_tokenizer.prepend_scheme: first is not supported
          unigram   | "precompiled_charsmap":" | "precompiled_charsmap":"! | normalizer.normalizers[0].precompiled_charsmap: not valid base64: Illegal base64 character 21
          unigram   | "Precompiled"         | "NFKC"          | normalizer.normalizers[0].type: NFKC is not supported
          bpe-sentencepiece | "Prepend"     | "Append"        | normalizer: expected Replace ' ' by '▁', or Prepend '▁' before it, for a BPE model
          bpe-sentencepiece | {"type":"ByteFallback"}, | `` | decoder: expected ByteFallback where model.byte_fallback is true
          bpe-metaspace | "first"           | "always"        | pre_tokenizer.prepend_scheme: always is not supported
          bpe-metaspace | "split":false     | "split":true    | pre_tokenizer.split: true is not supported
          bpe-sentencepiece | <0x7A>        | <0x7a>          | model.byte_fallback: true needs tokens <0x00> to <0xFF>; there are 255
          """)
  void refused(String file, String text, String other, String problem) throws IOException {
    String json = Files.readString(FILES.resolve(file + ".json"));
    assertThat(json).contains(text);
    Path changed = folder.resolve("changed.json");
    int at = json.indexOf(text);
    Files.writeString(
        changed, json.substring(0, at) + other.strip() + json.substring(at + text.length()));
    assertThatThrownBy(() -> Tokenizer.open(changed))
        .isInstanceOf(FormatException.class)
        .hasMessage("changed.json: " + problem.replace("\\\"", "\""));
  }

  /** The patterns as the models' publishers write them, and the name that GGUF has for each. */
  @ParameterizedTest
  @CsvSource(
      delimiterString = " <- ",
      quoteCharacter = '`',
      textBlock =
          """
          llama-bpe, true <- (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+
          dbrx, false <- (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+
          tekken, true <- [^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+
          gpt-4o, false <- [^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+
          """)
  void splittingHasAName(String expected, String regex) throws IOException {
    String[] words = expected.split(", ");
    String json = Files.readString(FILES.resolve("bpe-qwen2.json"));
    int at = json.indexOf("\"Regex\":\"") + "\"Regex\":\"".length();
    int end = json.indexOf("\"}", at);
    String escaped = regex.replace("\\", "\\\\");
    Path changed = folder.resolve("changed.json");
    Files.writeString(
        changed,
        (json.substring(0, at) + escaped + json.substring(end))
            .replace("\"ignore_merges\":false", "\"ignore_merges\":" + words[1]));
    assertThat(Tokenizer.open(changed).metadata().string("tokenizer.ggml.pre")).hasValue(words[0]);
  }

  @Test
  void digitsApartHaveAName() throws IOException {
    String json = Files.readString(FILES.resolve("bpe-gpt2.json"));
    int at = json.indexOf("\"pre_tokenizer\":") + "\"pre_tokenizer\":".length();
    int end = json.indexOf('}', at) + 1;
    Path changed = folder.resolve("changed.json");
    Files.writeString(
        changed,
        json.substring(0, at)
            + "{\"type\":\"Sequence\",\"pretokenizers\":["
            + "{\"type\":\"Digits\",\"individual_digits\":true},"
            + json.substring(at, end)
            + "]}"
            + json.substring(end));
    assertThat(Tokenizer.open(changed).metadata().string("tokenizer.ggml.pre"))
        .hasValue("starcoder");
  }

  @Test
  void mergesThatNoSentencePieceModelHas() throws IOException {
    String json = Files.readString(FILES.resolve("bpe-sentencepiece.json"));
    int at = json.indexOf("\"merges\":[[");
    int end = json.indexOf(']', at) + 1;
    String first = json.substring(at + "\"merges\":[".length(), end);
    Path changed = folder.resolve("changed.json");
    Files.writeString(changed, json.substring(0, at + 10) + json.substring(end + 1));
    assertThatThrownBy(() -> Tokenizer.open(changed))
        .hasMessageMatching(
            "changed.json: model.merges: '[^']+' is missing; only the merges of a SentencePiece"
                + " model are supported without a byte-level pre-tokenizer");
    int last = json.indexOf("]]", at);
    Files.writeString(
        changed, json.substring(0, last + 1) + "," + first + json.substring(last + 1));
    assertThatThrownBy(() -> Tokenizer.open(changed))
        .hasMessageMatching(
            "changed.json: model.merges\\[\\d+]: '[^']+' was made before; only the merges of .*");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {}                      | model.type: missing, expected string
          {"model":[]}            | model: expected an object, found an array
          {"model":{"type":1}}    | model.type: expected string, found 1.0
          {"model":{"type":"BPE"}}    | model.vocab: missing, expected an object
          {"model":{"type":"Unigram"}}    | model.unk_id: missing: a model without an unknown token is not supported
          {} {}                   | line 1: more JSON
          {"a":1,"a":2}           | line 1: not valid JSON: Duplicate Object property "a"
          {"a":                   | line 1: not valid JSON: Unexpected end-of-input within/between Object entries
          {"a":nope}              | line 1: not valid JSON: Unrecognized token 'nope': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')
          """)
  void notAllThere(String json, String problem) throws IOException {
    Path file = folder.resolve("small.json");
    Files.writeString(file, json);
    assertThatThrownBy(() -> Tokenizer.open(file))
        .isInstanceOf(FormatException.class)
        .hasMessage("small.json: " + problem);
  }

  @Test
  void theConfigBesideItSaysWhatBeginsAndEndsAText() throws IOException {
    Path file = folder.resolve("tokenizer.json");
    Files.copy(FILES.resolve("bpe-gpt2.json"), file);
    assertThat(Tokenizer.open(folder).bos()).isEmpty();
    Path config = folder.resolve("tokenizer_config.json");
    Files.writeString(
        config,
        """
        {"bos_token": {"content": "<|im_start|>"}, "eos_token": "<|im_end|>", "pad_token": null,
         "chat_template": "{{ messages }}", "model_max_length": 1e30}
        """);
    Tokenizer tokenizer = Tokenizer.open(folder);
    assertThat(tokenizer.bos()).hasValue(1);
    assertThat(tokenizer.eos()).hasValue(2);
    assertThat(tokenizer.addBos()).isFalse();
    assertThat(tokenizer.metadata().string("tokenizer.chat_template")).hasValue("{{ messages }}");
    Files.writeString(config, "{\"eos_token\": \"</s>\"}");
    assertThatThrownBy(() -> Tokenizer.open(file))
        .isInstanceOf(FormatException.class)
        .hasMessage("tokenizer_config.json: eos_token: '</s>' is no token");
  }

  @Test
  void deepNestingIsAnError() throws IOException {
    Path file = folder.resolve("deep.json");
    Files.writeString(file, "{\"a\":" + "[".repeat(1_000_000));
    assertThatThrownBy(() -> Tokenizer.open(file))
        .isInstanceOf(FormatException.class)
        .hasMessageStartingWith("deep.json: not valid JSON: Document nesting depth");
  }

  @Test
  void whatIsNoTokenizer() throws IOException {
    Path file = folder.resolve("x");
    for (String text : List.of("", " ", "text", "[1]", "GGU")) {
      Files.writeString(file, text);
      assertThatThrownBy(() -> Tokenizer.open(file))
          .isInstanceOf(FormatException.class)
          .hasMessage(
              file
                  + ": no tokenizer: expected a GGUF file, a tokenizer.json or a SentencePiece"
                  + " .model");
    }
    assertThatThrownBy(() -> Tokenizer.open(folder.resolve("none")))
        .hasMessage(folder.resolve("none") + ": no such file");
    Path empty = Files.createDirectory(folder.resolve("empty"));
    assertThatThrownBy(() -> Tokenizer.open(empty))
        .hasMessage(empty.resolve("tokenizer.model") + ": no such file");
  }

  /** Whatever is changed in a file: it opens, or one line says why not. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "bpe-gpt2.json",
        "wordpiece.json",
        "unigram.json",
        "bpe-sentencepiece.json",
        "unigram.model",
        "unigram-plain.model",
        "bpe.model"
      })
  void damagedAnywhere(String name) throws IOException {
    byte[] whole = Files.readAllBytes(FILES.resolve(name));
    Path file = folder.resolve("damaged");
    Seeds.check(
        random -> {
          int refused = 0;
          for (int round = 0; round < 400; round++) {
            byte[] damaged = whole.clone();
            for (int n = random.nextInt(1, 4); n > 0; n--) {
              damaged[random.nextInt(damaged.length)] = (byte) random.nextInt(256);
            }
            if (random.nextInt(4) == 0) {
              damaged = Arrays.copyOf(damaged, random.nextInt(damaged.length));
            }
            Files.write(file, damaged);
            try {
              Tokenizer tokenizer = Tokenizer.open(file);
              int[] ids = tokenizer.encode("the Lantern 12 \ufb01 日 <unk>", true, true);
              tokenizer.decode(ids);
            } catch (FormatException e) {
              assertThat(e.getMessage()).contains("damaged").doesNotContain("\n");
              refused++;
            }
          }
          assertThat(refused).isGreaterThan(40);
        });
  }

  @Test
  void fieldsOfASentencePieceFileThatAreNotSound() throws IOException {
    String at = ": SentencePiece model: ";
    model(at + "field 1: 5 bytes, 1 are left", 0x0a, 5, 0);
    model(at + "field 1: ends after 0 of 1 bytes", 0x0a);
    model(": pieces[0]: field 2: ends after 2 of 4 bytes", 0x0a, 3, 0x15, 0, 0);
    model(": pieces[0]: field 1: expected bytes (type 2), found type 0", 0x0a, 2, 0x08, 0);
    model(": pieces[0]: a piece that is not valid UTF-8", 0x0a, 3, 0x0a, 1, 0xff);
    model(": pieces[0]: no field begins at byte 3", 0x0a, 1, 0x00);
    model(
        ": trainer_spec.model_type: expected 1 (Unigram) or 2 (BPE), found 4",
        0x0a,
        3,
        0x0a,
        1,
        'a',
        0x12,
        2,
        0x18,
        4);
    model(
        ": trainer_spec.treat_whitespace_as_suffix: true is not supported",
        0x0a,
        3,
        0x0a,
        1,
        'a',
        0x12,
        3,
        0xc0,
        1,
        1);
    model(
        ": normalizer_spec.escape_whitespaces: false is not supported",
        0x0a,
        3,
        0x0a,
        1,
        'a',
        0x1a,
        2,
        0x28,
        0);
    model(
        ": denormalizer_spec: precompiled_charsmap: texts changed in decoding are not supported",
        0x0a,
        3,
        0x0a,
        1,
        'a',
        0x2a,
        3,
        0x12,
        1,
        'x');
    model(
        ": metadata key tokenizer.ggml.token_type[0]: expected a kind, 1 to 6, found 9",
        0x0a,
        5,
        0x0a,
        1,
        'a',
        0x18,
        9);
    model(
        ": metadata key tokenizer.ggml.unknown_token_id: expected a token, 0 to 0, found 7",
        0x0a,
        3,
        0x0a,
        1,
        'a',
        0x12,
        12,
        0xc0,
        2,
        7,
        0xc8,
        2,
        0,
        0xd0,
        2,
        0,
        0xd8,
        2,
        0);
  }

  private void model(String problem, int... bytes) throws IOException {
    byte[] data = new byte[bytes.length];
    for (int i = 0; i < data.length; i++) {
      data[i] = (byte) bytes[i];
    }
    Path file = folder.resolve("small.model");
    Files.write(file, data);
    assertThatThrownBy(() -> Tokenizer.open(file))
        .as(new String(data, StandardCharsets.ISO_8859_1))
        .isInstanceOf(FormatException.class)
        .hasMessage("small.model" + problem);
  }
}
