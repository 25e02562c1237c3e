// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.generate.verify.Verifier;
import dev.tokamak.model.chat.Message;
import dev.tokamak.model.format.FormatException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class QuestionTest {
  @TempDir private Path folder;

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          "words": ["cat", "sun"]  | The Sun and a cat. | The sun and cats.
          "contains": ["cat"]      | cat                | cart
          "pattern": "[a-z]+"      | abc                | abc d
          "number": 7              | 3 + 4 = 7.0        | 7 is not 8
          "number": "0.25"         | 0.250              | 0.2
          "number": -12.5          | -12.5              | 12.5
          "number": 123456789012345678 | 123456789012345678 | 123456789012345679
          "exact": "yes"           | ` yes `            | Yes
          """)
  void eachRuleIsRead(String rule, String right, String wrong) throws IOException {
    Question question = only("{\"prompt\": \"a\", " + rule + "}");
    assertThat(question.rule().accepts(right)).isTrue();
    assertThat(question.rule().accepts(wrong)).isFalse();
  }

  @Test
  void aPromptIsWhatAUserSaysBehindTheSystem() throws IOException {
    Question question = only("{\"system\": \"s\", \"prompt\": \"a\", \"exact\": \"b\"}");
    assertThat(question.prompt()).contains("a");
    assertThat(question.text()).isEqualTo("a");
    assertThat(question.messages())
        .containsExactly(Message.of("system", "s"), Message.of("user", "a"));
  }

  @Test
  void anAnswerAtTheEndIsLeftOut() throws IOException {
    Question question =
        only(
            "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"},"
                + " {\"role\": \"assistant\", \"content\": \"b\"}], \"exact\": \"b\"}");
    assertThat(question.prompt()).isEmpty();
    assertThat(question.messages()).containsExactly(Message.of("user", "a"));
  }

  @Test
  void oneRuleMayStandForAll() throws IOException {
    var rule = new Verifier.Matches(Pattern.compile("x"));
    assertThat(Question.read(file("{\"prompt\": \"a\"}"), rule))
        .extracting(Question::rule)
        .isEqualTo(List.of(rule));
  }

  @Test
  void anEmptyFileIsNamed() throws IOException {
    Path file = file("");
    assertThatThrownBy(() -> Question.read(file))
        .isInstanceOf(FormatException.class)
        .hasMessageContaining(file.toString());
  }

  private Question only(String line) throws IOException {
    List<Question> questions = Question.read(file(line));
    assertThat(questions).hasSize(1);
    return questions.getFirst();
  }

  private Path file(String text) throws IOException {
    return Files.writeString(folder.resolve("questions.jsonl"), text);
  }
}
