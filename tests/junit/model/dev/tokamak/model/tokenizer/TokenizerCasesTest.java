// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** The tables of {@code tests/cases/tokenizer} that have a vocabulary of their own. */
class TokenizerCasesTest {
  @TestFactory
  Stream<DynamicTest> sentencePiece() {
    return cases("sentencepiece.cases", new Vocabularies("llama").sentencePieceStart());
  }

  @TestFactory
  Stream<DynamicTest> byteLevelBpe() {
    return cases("bpe.cases", new Vocabularies("gpt2").key("pre", "gpt-2").byteLevelStart());
  }

  private static Stream<DynamicTest> cases(String file, Vocabularies vocabulary) {
    var tests = new ArrayList<CaseFile.Row>();
    for (CaseFile.Row row : CaseFile.read(file)) {
      switch (row.word(0)) {
        case "token" ->
            vocabulary.token(
                row.word(1),
                TokenKind.valueOf(row.word(2).toUpperCase(Locale.ROOT)),
                Double.parseDouble(row.word(3)));
        case "merge" ->
            vocabulary
                .token(row.word(1) + row.word(2), TokenKind.NORMAL, 0)
                .merge(row.word(1), row.word(2));
        case "encode", "decode" -> tests.add(row);
        default -> throw new IllegalArgumentException(row.place());
      }
    }
    Tokenizer tokenizer = vocabulary.tokenizer();
    return tests.stream()
        .map(row -> DynamicTest.dynamicTest(row.place(), () -> run(tokenizer, row)));
  }

  private static void run(Tokenizer tokenizer, CaseFile.Row row) {
    if (row.word(0).equals("encode")) {
      boolean special =
          switch (row.word(1)) {
            case "special" -> true;
            case "plain" -> false;
            default -> throw new IllegalArgumentException(row.place());
          };
      assertThat(tokenizer.encode(row.word(2), false, special))
          .as(row.place())
          .containsExactly(ids(row.expected()));
    } else {
      int[] tokens = ids(row.words().subList(1, row.words().indexOf("=")));
      assertThat(tokenizer.decode(tokens)).as(row.place()).isEqualTo(row.expected().getFirst());
    }
  }

  private static int[] ids(List<String> words) {
    return words.stream().mapToInt(Integer::parseInt).toArray();
  }
}
