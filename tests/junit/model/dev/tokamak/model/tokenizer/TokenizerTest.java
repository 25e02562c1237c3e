// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.testing.Seeds;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class TokenizerTest {
  static List<Tokenizer> tokenizers() {
    return List.of(
        Vocabularies.sentencePiece(),
        Vocabularies.byteLevel("default"),
        Vocabularies.byteLevel("llama-bpe"),
        Vocabularies.byteLevel("deepseek-llm"));
  }

  @ParameterizedTest
  @MethodSource("tokenizers")
  void anyTextComesBack(Tokenizer tokenizer) {
    Seeds.check(
        random -> {
          for (int i = 0; i < 500; i++) {
            RandomText.checkRoundTrip(tokenizer, RandomText.any(random, 40).replace("▁", ""));
          }
        });
  }

  @ParameterizedTest
  @MethodSource("tokenizers")
  void halfSurrogatePairsBecomeReplacementCharacters(Tokenizer tokenizer) {
    String text = "a\ud800b\udc00\udc00\ud800";
    assertThat(tokenizer.decode(tokenizer.encode(text, false, false)))
        .isEqualTo("a\ufffdb\ufffd\ufffd\ufffd");
    Seeds.check(
        random -> {
          for (int i = 0; i < 200; i++) {
            var chars = new StringBuilder();
            for (int n = random.nextInt(20); n > 0; n--) {
              chars.append((char) random.nextInt(0xd700, 0xe100));
            }
            byte[] utf8 = chars.toString().replaceAll("\\p{Cs}", "\ufffd").getBytes("UTF-8");
            assertThat(tokenizer.decode(tokenizer.encode(chars.toString(), false, false)))
                .isEqualTo(new String(utf8, "UTF-8"));
          }
        });
  }

  @ParameterizedTest
  @MethodSource("tokenizers")
  void randomTokensStreamAsTheyDecode(Tokenizer tokenizer) {
    Seeds.check(
        random -> {
          for (int i = 0; i < 500; i++) {
            int[] ids = random.ints(random.nextInt(30), 0, tokenizer.vocabularySize()).toArray();
            TokenStream stream = tokenizer.stream(true);
            var streamed = new StringBuilder();
            for (int id : ids) {
              streamed.append(stream.accept(id));
            }
            assertThat(streamed.append(stream.finish()).toString())
                .isEqualTo(tokenizer.decode(ids));
          }
        });
  }

  @Test
  void aTextIsTheSameWhicheverThreadEncodesIt() throws Exception {
    Tokenizer tokenizer = Vocabularies.byteLevel("gpt-2");
    String text = "the abb bb é 😀  the ".repeat(200);
    int[] expected = tokenizer.encode(text, false, false);
    try (var threads = Executors.newFixedThreadPool(4)) {
      List<Callable<int[]>> tasks = new ArrayList<>();
      for (int i = 0; i < 40; i++) {
        tasks.add(() -> tokenizer.encode(text, false, false));
      }
      for (var result : threads.invokeAll(tasks)) {
        assertThat(result.get()).containsExactly(expected);
      }
    }
  }

  @Test
  void beginAndEndAreAddedAsTheFileSays() {
    var made =
        new Vocabularies("llama")
            .sentencePieceStart()
            .token("▁a", TokenKind.NORMAL, 0)
            .key("add_bos_token", false)
            .key("add_eos_token", true);
    int a = made.size() - 1;
    assertThat(made.tokenizer().encode("a", true, false)).containsExactly(a, 2);
    assertThat(made.tokenizer().encode("a", false, false)).containsExactly(a);
    assertThat(made.key("add_bos_token", true).tokenizer().encode("a", true, false))
        .containsExactly(1, a, 2);
    assertThat(made.key("bos_token_id", 5).tokenizer().encode("a", true, false))
        .containsExactly(5, a, 2);
  }

  @Test
  void noSpaceGoesInFrontWhereTheFileSaysSo() {
    var made =
        new Vocabularies("llama")
            .sentencePieceStart()
            .token("▁", TokenKind.NORMAL, 0)
            .token("a", TokenKind.NORMAL, 0);
    int a = made.size() - 1;
    Tokenizer tokenizer = made.key("add_space_prefix", false).tokenizer();
    assertThat(tokenizer.encode("a", false, false)).containsExactly(a);
    assertThat(tokenizer.decode(tokenizer.encode(" a", false, false))).isEqualTo(" a");
  }

  @Test
  void extraSpacesGoWhereTheFileSaysSo() {
    var made =
        new Vocabularies("llama")
            .sentencePieceStart()
            .token("▁", TokenKind.NORMAL, 0)
            .token("a", TokenKind.NORMAL, 0)
            .key("remove_extra_whitespaces", true);
    Tokenizer tokenizer = made.tokenizer();
    assertThat(tokenizer.decode(tokenizer.encode("  a   a a  ", false, false))).isEqualTo("a a a");
    tokenizer = made.key("add_space_prefix", false).tokenizer();
    assertThat(tokenizer.decode(tokenizer.encode("  a   a a  ", false, false))).isEqualTo("a a a");
    for (Tokenizer either : List.of(tokenizer, made.key("add_space_prefix", true).tokenizer())) {
      assertThat(either.encode("   ", false, false)).isEmpty();
      assertThat(either.encode(" ", false, false)).isEmpty();
    }
  }

  @Test
  void charactersInARowThatCannotBeSpelledAreOneUnknown() {
    Tokenizer tokenizer =
        new Vocabularies("llama")
            .token("<unk>", TokenKind.UNKNOWN, 0)
            .token("a", TokenKind.NORMAL, 0)
            .token("▁", TokenKind.NORMAL, 0)
            .tokenizer();
    assertThat(tokenizer.encode("aéöabc", false, false)).containsExactly(2, 1, 0, 1, 0);
    assertThat(tokenizer.decode(2, 1, 0, 1, 0)).isEqualTo("aa");
    assertThat(tokenizer.decodeWithSpecial(2, 1, 0)).isEqualTo("a<unk>");
  }

  @Test
  void theFirstTokenIsUnknownWhereAFileDoesNotSay() {
    Tokenizer tokenizer =
        new Vocabularies("llama")
            .token("a", TokenKind.NORMAL, 0)
            .key("add_bos_token", false)
            .key("add_space_prefix", false)
            .tokenizer();
    assertThat(tokenizer.encode("é", false, false)).containsExactly(0);
  }

  @Test
  void aContinuationKeepsItsSpace() {
    Tokenizer tokenizer = Vocabularies.sentencePiece();
    int the = tokenizer.find("▁the").getAsInt();
    assertThat(tokenizer.stream(true).accept(the)).isEqualTo("the");
    assertThat(tokenizer.stream(false).accept(the)).isEqualTo(" the");
    TokenStream afterBegin = tokenizer.stream(true);
    assertThat(afterBegin.accept(1)).isEmpty();
    assertThat(afterBegin.accept(the)).isEqualTo("the");
    assertThat(afterBegin.accept(the)).isEqualTo(" the");
  }

  @Test
  void piecesBytesAndKindsAreTheVocabularys() {
    Tokenizer tokenizer = Vocabularies.sentencePiece();
    int the = tokenizer.find("▁the").getAsInt();
    assertThat(tokenizer.piece(the)).isEqualTo("▁the");
    assertThat(tokenizer.bytes(the)).asString().isEqualTo(" the");
    assertThat(tokenizer.kind(the)).isEqualTo(TokenKind.NORMAL);
    assertThat(tokenizer.bytes(3 + 0xe9)).containsExactly(0xe9);
    assertThat(tokenizer.kind(3)).isEqualTo(TokenKind.BYTE);
    assertThat(tokenizer.piece(1)).isEqualTo("<s>");
    assertThat(tokenizer.bytes(1)).asString().isEqualTo("<s>");
    assertThat(tokenizer.find("nothing")).isEmpty();
    Tokenizer bpe = Vocabularies.byteLevel("gpt-2");
    int spaceThe = bpe.find("Ġthe").getAsInt();
    assertThat(bpe.piece(spaceThe)).isEqualTo("Ġthe");
    assertThat(bpe.bytes(spaceThe)).asString().isEqualTo(" the");
  }

  @ParameterizedTest
  @MethodSource("tokenizers")
  void anIdOutsideTheVocabularyIsAnError(Tokenizer tokenizer) {
    for (int id : new int[] {-1, tokenizer.vocabularySize(), Integer.MAX_VALUE}) {
      String problem =
          "token " + id + ": outside the vocabulary, 0 to " + (tokenizer.vocabularySize() - 1);
      assertThatThrownBy(() -> tokenizer.decode(id)).hasMessage(problem);
      assertThatThrownBy(() -> tokenizer.bytes(id)).hasMessage(problem);
      assertThatThrownBy(() -> tokenizer.piece(id)).hasMessage(problem);
      assertThatThrownBy(() -> tokenizer.kind(id)).hasMessage(problem);
      assertThatThrownBy(() -> tokenizer.stream(false).accept(id)).hasMessage(problem);
      assertThat(tokenizer.isEnd(id)).isFalse();
    }
  }

  @Test
  void aWordThatIsATokenIsThatTokenWhereThePreTokenizerSaysSo() {
    // "abc" is a token, but no merge makes it.
    var made =
        new Vocabularies("gpt2")
            .byteLevelStart()
            .token("bc", TokenKind.NORMAL, 0)
            .merge("b", "c")
            .token("abc", TokenKind.NORMAL, 0)
            .key("bos_token_id", 0);
    assertThat(made.key("pre", "gpt-2").tokenizer().encode("abc abc", false, false))
        .containsExactly('a', 256, ' ', 'a', 256);
    assertThat(made.key("pre", "llama-bpe").tokenizer().encode("abc abc", false, false))
        .containsExactly(257, ' ', 'a', 256);
  }

  @Test
  void someTokensOfPhi3TakeTheSpaceAfterThem() {
    var made =
        new Vocabularies("llama")
            .sentencePieceStart()
            .token("▁", TokenKind.NORMAL, 0)
            .token("a", TokenKind.NORMAL, 0)
            .token("<|user|>", TokenKind.CONTROL, 0);
    int space = made.size() - 3;
    int user = made.size() - 1;
    String text = "<|user|> \n\ta<s> a";
    Tokenizer other = made.tokenizer();
    assertThat(other.encode(text, false, true))
        .containsExactly(
            user, space, space, 3 + '\n', 3 + '\t', space + 1, 1, space, space, space + 1);
    Tokenizer phi = Tokenizer.of(made.metadata().with("general.name", "Phi-3 mini"));
    assertThat(phi.encode(text, false, true))
        .containsExactly(user, space, space + 1, 1, space, space, space + 1);
  }

  /** Special tokens with a long common beginning, of which the text has only that. */
  @Test
  @Timeout(value = 20, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void manySpecialTokensAreFoundInLinearTime() {
    var made = new Vocabularies("gpt2").byteLevelStart().key("pre", "gpt-2");
    int first = made.size();
    for (int i = 0; i < 5_000; i++) {
      made.token("<" + "|".repeat(i % 50) + i + ">", TokenKind.CONTROL, 0);
    }
    Tokenizer tokenizer = made.tokenizer();
    assertThat(tokenizer.encode("<".repeat(300_000), false, true)).hasSize(300_000);
    assertThat(tokenizer.encode("<||||".repeat(60_000) + "<|1>", false, true))
        .hasSize(300_001)
        .endsWith(first + 1);
  }
}
