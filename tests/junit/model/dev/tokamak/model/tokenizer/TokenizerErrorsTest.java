// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Metadata that contradicts itself: one line with file and key, and what would be right. */
class TokenizerErrorsTest {
  private static void refused(Metadata metadata, String problem) {
    assertThatThrownBy(() -> Tokenizer.of(metadata))
        .isInstanceOf(FormatException.class)
        .hasMessage("made-up.gguf: metadata key tokenizer.ggml." + problem);
  }

  private static Vocabularies sentencePiece() {
    return new Vocabularies("llama").sentencePieceStart();
  }

  private static Vocabularies bpe() {
    return new Vocabularies("gpt2").byteLevelStart().key("pre", "gpt-2");
  }

  @Test
  void noModel() {
    refused(Metadata.of("made-up.gguf", Map.of()), "model: missing, expected string");
  }

  @ParameterizedTest
  @ValueSource(strings = {"rwkv", "plamo2", "gemma4", "none", "", "GPT2"})
  void aModelThatIsNotSupported(String model) {
    refused(
        bpe().metadata().with("tokenizer.ggml.model", model),
        "model: '"
            + model
            + "' is not supported; supported: 'llama' (SentencePiece), 'gpt2' (BPE), 't5'"
            + " (Unigram), 'bert' (WordPiece)");
  }

  @Test
  void aPreTokenizerThatIsNotKnown() {
    assertThatThrownBy(() -> bpe().key("pre", "gpt-5").tokenizer())
        .isInstanceOf(FormatException.class)
        .hasMessageStartingWith(
            "made-up.gguf: metadata key tokenizer.ggml.pre: unknown: 'gpt-5'; known: a.x-4.0, ")
        .hasMessageContaining(" llama-bpe, ")
        .hasMessageEndingWith(", viking");
  }

  @Test
  void noPreTokenizerIsTheDefaultOne() {
    Tokenizer tokenizer = new Vocabularies("gpt2").byteLevelStart().tokenizer();
    assertThat(tokenizer.encode("12345", false, false)).hasSize(5);
  }

  @Test
  void tokensMissingOrOfAnotherType() {
    refused(
        Metadata.of("made-up.gguf", Map.of("tokenizer.ggml.model", "llama")),
        "tokens: missing, expected array of string");
    refused(
        sentencePiece().metadata().with("tokenizer.ggml.tokens", new int[] {1, 2}),
        "tokens: expected array of string, found array of int32");
    refused(
        sentencePiece().metadata().with("tokenizer.ggml.tokens", "<s>"),
        "tokens: expected array of string, found string");
  }

  @Test
  void anEmptyVocabulary() {
    refused(
        sentencePiece().metadata().with("tokenizer.ggml.tokens", List.of()),
        "tokens: the vocabulary is empty");
  }

  @Test
  void twoTokensAlike() {
    refused(
        bpe().token("a", TokenKind.NORMAL, 0).metadata(),
        "tokens: token 'a' stands twice: as 97 and as 256");
  }

  @Test
  void emptyTokensStandForNothing() {
    Tokenizer tokenizer =
        bpe().token("", TokenKind.CONTROL, 0).token("", TokenKind.NORMAL, 0).tokenizer();
    assertThat(tokenizer.encode("ab", false, true)).containsExactly('a', 'b');
    assertThat(tokenizer.decode('a', 256, 257, 'b')).isEqualTo("ab");
  }

  @Test
  void kindsThatDoNotFit() {
    refused(
        bpe().metadata().with("tokenizer.ggml.token_type", new int[255]),
        "token_type: expected one for each of the 256 tokens, found 255");
    int[] kinds = new int[256];
    Arrays.fill(kinds, 1);
    kinds[7] = 9;
    refused(
        bpe().metadata().with("tokenizer.ggml.token_type", kinds),
        "token_type[7]: expected a kind, 1 to 6, found 9");
  }

  @Test
  void scoresThatDoNotFit() {
    refused(
        new Vocabularies("gpt2").byteLevelStart().metadata().with("tokenizer.ggml.model", "llama"),
        "scores: missing, expected array of numbers");
    refused(
        sentencePiece().metadata().with("tokenizer.ggml.scores", new float[3]),
        "scores: expected one for each of the 259 tokens, found 3");
    float[] scores = new float[259];
    scores[4] = Float.NaN;
    refused(
        sentencePiece().metadata().with("tokenizer.ggml.scores", scores),
        "scores[4]: expected a number, found NaN");
  }

  @Test
  void aByteTokenThatIsNone() {
    refused(
        sentencePiece().token("<0xG0>", TokenKind.BYTE, 0).metadata(),
        "tokens[259]: expected <0x00> to <0xFF> for a token of kind byte, found <0xG0>");
    refused(
        sentencePiece().token("x", TokenKind.BYTE, 0).metadata(),
        "tokens[259]: expected <0x00> to <0xFF> for a token of kind byte, found x");
  }

  @Test
  void unigramScoresThatAreNoNumbers() {
    float[] scores = new float[259];
    scores[4] = Float.NEGATIVE_INFINITY;
    refused(
        sentencePiece()
            .metadata()
            .with("tokenizer.ggml.model", "t5")
            .with("tokenizer.ggml.scores", scores),
        "scores[4]: expected a finite number, found -Infinity");
  }

  @Test
  void wordPieceWithoutAnUnknownToken() {
    refused(
        new Vocabularies("bert")
            .token("▁a", TokenKind.NORMAL, 0)
            .key("add_bos_token", false)
            .key("add_eos_token", false)
            .metadata(),
        "unknown_token_id: missing, expected a token");
  }

  @Test
  void aNormalizationThatIsNotKnown() {
    assertThatThrownBy(
            () -> Tokenizer.of(bpe().metadata().with("tokenizer.tokamak.normalizer", "NFX")))
        .hasMessage(
            "made-up.gguf: metadata key tokenizer.tokamak.normalizer: expected NFC, NFD, NFKC or"
                + " NFKD, found 'NFX'");
  }

  @Test
  void tablesOfReplacementsThatLeadOutside() {
    String key = "precompiled_charsmap: ";
    for (int[] bytes : new int[][] {{1}, {0, 0, 0, 0}, {3, 0, 0, 0, 1, 2, 3}, {8, 0, 0, 0, 1}}) {
      refused(
          sentencePiece().metadata().with("tokenizer.ggml.precompiled_charsmap", bytes),
          key
              + "expected a size in whole units of 4 bytes and as many bytes, found "
              + (bytes.length < 4 ? 0 : bytes[0])
              + " of "
              + bytes.length
              + " bytes");
    }
    // A unit that ends a sequence, whose replacement would be in unit 1, of which there is none.
    refused(
        sentencePiece()
            .metadata()
            .with("tokenizer.ggml.precompiled_charsmap", new int[] {4, 0, 0, 0, 0, 5, 0, 0}),
        key + "unit 0: its replacement is outside, or of more than 1024 bytes");
  }

  @Test
  void mergesOfTokensThatAreNone() {
    refused(
        sentencePiece().metadata().with("tokenizer.ggml.model", "gpt2"),
        "merges: missing, expected array of string");
    refused(
        bpe().merge("a", "b").metadata(),
        "merges[0]: expected two tokens that make a third, found 'a b'");
    refused(
        bpe().token("ab", TokenKind.NORMAL, 0).merge("a", "b").merge("ab", "cd").metadata(),
        "merges[1]: expected two tokens that make a third, found 'ab cd'");
    for (String line : List.of("", " ", "a", "ab", "a ", " a", "  a")) {
      refused(
          bpe().metadata().with("tokenizer.ggml.merges", List.of(line)),
          "merges[0]: expected two tokens that make a third, found '" + line + "'");
    }
    refused(
        bpe().metadata().with("tokenizer.ggml.merges", List.of("a b".repeat(600))),
        "merges[0]: expected two tokens that make a third, found '" + "a b".repeat(600) + "'");
  }

  @Test
  void ofTwoMergesAlikeTheFirstCounts() {
    Tokenizer tokenizer =
        bpe()
            .token("ab", TokenKind.NORMAL, 0)
            .token("bc", TokenKind.NORMAL, 0)
            .merge("a", "b")
            .merge("b", "c")
            .merge("a", "b")
            .tokenizer();
    assertThat(tokenizer.encode("abc", false, false)).containsExactly(256, 'c');
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "bos_token_id",
        "eos_token_id",
        "unknown_token_id",
        "eot_token_id",
        "eom_token_id",
        "fim_pad_token_id",
        "fim_rep_token_id",
        "fim_sep_token_id"
      })
  void idsOutsideTheVocabulary(String key) {
    refused(bpe().key(key, 256).metadata(), key + ": expected a token, 0 to 255, found 256");
    refused(bpe().key(key, -1).metadata(), key + ": expected a token, 0 to 255, found -1");
  }

  @Test
  void beginOrEndWantedButMissing() {
    refused(
        bpe().key("add_bos_token", true).metadata(),
        "bos_token_id: missing, though tokenizer.ggml.add_bos_token is true");
    refused(
        bpe().key("add_eos_token", true).metadata(),
        "eos_token_id: missing, though tokenizer.ggml.add_eos_token is true");
  }

  @Test
  void noBeginWhereNoneIsKnownOrWanted() {
    assertThat(bpe().key("pre", "llama-bpe").tokenizer().addBos()).isFalse();
    assertThat(bpe().key("bos_token_id", 5).tokenizer().addBos()).isFalse();
    assertThat(bpe().key("pre", "llama-bpe").key("bos_token_id", 5).tokenizer().addBos()).isTrue();
    Tokenizer tiny = new Vocabularies("llama").token("a", TokenKind.NORMAL, 0).tokenizer();
    assertThat(tiny.bos()).isEmpty();
    assertThat(tiny.addBos()).isFalse();
  }
}
