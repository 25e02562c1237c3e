// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class EndTokensTest {
  private static Vocabularies with(String... tokens) {
    var made = new Vocabularies("gpt2").byteLevelStart().key("pre", "gpt-2");
    for (String token : tokens) {
      made.token(token, TokenKind.CONTROL, 0);
    }
    return made;
  }

  private static List<String> ends(Vocabularies made) {
    Tokenizer tokenizer = made.tokenizer();
    assertThat(Arrays.stream(tokenizer.ends()).allMatch(tokenizer::isEnd)).isTrue();
    return Arrays.stream(tokenizer.ends()).mapToObj(tokenizer::piece).toList();
  }

  @Test
  void noneWhereNothingIsSaid() {
    assertThat(ends(with("<|im_start|>", "<|sep|>"))).isEmpty();
    assertThat(with().tokenizer().isEnd(0)).isFalse();
  }

  @ParameterizedTest
  @ValueSource(strings = {"eos_token_id", "eot_token_id", "eom_token_id", "fim_pad_token_id"})
  void thoseThatKeysName(String key) {
    assertThat(ends(with("<x>", "<y>").key(key, 257))).containsExactly("<y>");
  }

  @Test
  void thoseOfKnownNames() {
    assertThat(ends(with("<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<|endoftext|>")))
        .containsExactly("<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<|endoftext|>");
    assertThat(ends(with("<eos>", "<end_of_turn>", "<x>").key("eos_token_id", 258)))
        .containsExactly("<eos>", "<end_of_turn>", "<x>");
  }

  @Test
  void fillInTheMiddleTokensUnlessAKeyNamesAnother() {
    var made = with("<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<|fim_prefix|>", "<x>");
    assertThat(ends(made)).containsExactly("<|fim_pad|>", "<|repo_name|>", "<|file_sep|>");
    assertThat(ends(made.key("fim_sep_token_id", 260)))
        .containsExactly("<|fim_pad|>", "<|repo_name|>", "<x>");
  }

  @Test
  void aMessagesEndIsNoneWhereTurnsHaveSeveral() {
    assertThat(ends(with("<|end|>", "<|return|>", "<|call|>")))
        .containsExactly("<|return|>", "<|call|>");
    assertThat(ends(with("<|end|>", "<|flush|>", "<|calls|>")))
        .containsExactly("<|flush|>", "<|calls|>");
    assertThat(ends(with("<|end|>", "<|return|>"))).containsExactly("<|end|>", "<|return|>");
  }

  @Test
  void aTokenOfHtmlIsNoEndUnlessTextsBeginWithItsTwin() {
    var made = with("<s>").token("</s>", TokenKind.USER_DEFINED, 0);
    assertThat(ends(made)).isEmpty();
    assertThat(made.tokenizer().encode("</s>", false, false)).containsExactly(257);
    assertThat(ends(made.key("bos_token_id", 256))).containsExactly("</s>");
    assertThat(made.tokenizer().encode("</s>", false, false)).hasSize(4);
    assertThat(ends(with("</s>").key("eos_token_id", 256))).containsExactly("</s>");
  }

  @Test
  void anEndTokenIsAControlTokenWhateverTheFileSays() {
    Tokenizer tokenizer = with().token("<|im_end|>", TokenKind.NORMAL, 0).tokenizer();
    assertThat(tokenizer.kind(256)).isEqualTo(TokenKind.CONTROL);
    assertThat(tokenizer.encode("<|im_end|>", false, true)).containsExactly(256);
    assertThat(tokenizer.decode(256)).isEmpty();
  }
}
