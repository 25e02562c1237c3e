// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.model.format.gguf.GgufFile;
import dev.tokamak.testing.Seeds;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BpeTrainerTest {
  private static final ControlTokens NONE =
      new ControlTokens(List.of(), Optional.empty(), Optional.empty(), false);

  /** Each merge by counting all pairs anew. */
  private static List<String> mergesByCounting(Map<String, Integer> words, int number) {
    char[] alphabet = Bpe.alphabet();
    char[] sorted = alphabet.clone();
    Arrays.sort(sorted);
    List<String> tokens = new ArrayList<>();
    for (char c : sorted) {
      tokens.add(String.valueOf(c));
    }
    Map<List<String>, Integer> split = new HashMap<>();
    words.forEach(
        (word, count) -> {
          List<String> symbols = new ArrayList<>();
          for (byte b : word.getBytes(StandardCharsets.UTF_8)) {
            symbols.add(String.valueOf(alphabet[b & 0xff]));
          }
          split.merge(symbols, count, Integer::sum);
        });
    List<String> merges = new ArrayList<>();
    while (tokens.size() < 256 + number) {
      Map<List<String>, Integer> pairs = new HashMap<>();
      split.forEach(
          (symbols, count) -> {
            for (int i = 0; i + 1 < symbols.size(); i++) {
              pairs.merge(List.of(symbols.get(i), symbols.get(i + 1)), count, Integer::sum);
            }
          });
      int most = pairs.isEmpty() ? 0 : Collections.max(pairs.values());
      if (most < 2) {
        break;
      }
      List<String> best = null;
      long lowest = Long.MAX_VALUE;
      for (var pair : pairs.entrySet()) {
        long key =
            (long) tokens.indexOf(pair.getKey().get(0)) << 32
                | tokens.indexOf(pair.getKey().get(1));
        if (pair.getValue() == most && key < lowest) {
          lowest = key;
          best = pair.getKey();
        }
      }
      String made = best.get(0) + best.get(1);
      merges.add(best.get(0) + " " + best.get(1));
      if (!tokens.contains(made)) {
        tokens.add(made);
      }
      Map<List<String>, Integer> next = new HashMap<>();
      for (var word : split.entrySet()) {
        List<String> symbols = new ArrayList<>();
        for (int i = 0; i < word.getKey().size(); i++) {
          boolean found =
              i + 1 < word.getKey().size() && word.getKey().subList(i, i + 2).equals(best);
          symbols.add(found ? made : word.getKey().get(i));
          i += found ? 1 : 0;
        }
        next.merge(symbols, word.getValue(), Integer::sum);
      }
      split.clear();
      split.putAll(next);
    }
    return merges;
  }

  @Test
  void mergesAreThoseOfCountingAnew() {
    Seeds.check(
        random -> {
          for (int round = 0; round < 30; round++) {
            Map<String, Integer> words = new HashMap<>();
            List<String> documents = new ArrayList<>();
            for (int n = random.nextInt(2, 60); n > 0; n--) {
              var word = new StringBuilder();
              for (int length = random.nextInt(1, 9); length > 0; length--) {
                word.append("aabcé".charAt(random.nextInt(5)));
              }
              int count = random.nextInt(1, 4);
              words.merge(word.toString(), count, Integer::sum);
              documents.addAll(Collections.nCopies(count, word.toString()));
            }
            List<String> expected = mergesByCounting(words, 40);
            long made = expected.stream().map(merge -> merge.replace(" ", "")).distinct().count();
            var trainer = new BpeTrainer(256 + (int) made, NONE, "gpt-2");
            documents.forEach(trainer::add);
            assertThat(merges(trainer.train())).isEqualTo(expected);
          }
        });
  }

  @Test
  void thePairOfTheLowestIdsGoesFirstAmongEquals() {
    var trainer = new BpeTrainer(259, NONE, "gpt-2");
    trainer.add("yz");
    trainer.add("yz");
    trainer.add("ba");
    trainer.add("ba");
    trainer.add("bz");
    trainer.add("bz");
    assertThat(merges(trainer.train())).containsExactly("b a", "b z", "y z");
  }

  @Test
  void theOrderOfDocumentsDoesNotMatter() {
    List<String> documents = new ArrayList<>(documents());
    Tokenizer first = trained(documents, 330, "qwen2");
    Collections.shuffle(documents, new Random(5));
    Tokenizer second = trained(documents, 330, "qwen2");
    assertThat(merges(second)).isEqualTo(merges(first));
    for (int id = 0; id < 330; id++) {
      assertThat(second.piece(id)).isEqualTo(first.piece(id));
    }
  }

  @Test
  void idsAreControlTokensThenBytesThenMerges() {
    Tokenizer tokenizer = trained(documents(), 300, "qwen2");
    assertThat(tokenizer.vocabularySize()).isEqualTo(300);
    assertThat(tokenizer.piece(0)).isEqualTo("<|endoftext|>");
    assertThat(tokenizer.piece(1)).isEqualTo("<|im_start|>");
    assertThat(tokenizer.piece(2)).isEqualTo("<|im_end|>");
    assertThat(tokenizer.piece(3)).isEqualTo("!");
    assertThat(tokenizer.piece(258)).isEqualTo("Ń");
    assertThat(tokenizer.kind(2)).isEqualTo(TokenKind.CONTROL);
    assertThat(tokenizer.kind(3)).isEqualTo(TokenKind.NORMAL);
    assertThat(tokenizer.bos()).hasValue(0);
    assertThat(tokenizer.eos()).hasValue(0);
    assertThat(tokenizer.ends()).containsExactly(0, 2);
    assertThat(tokenizer.encode("", true, false)).containsExactly(0);
    assertThat(tokenizer.encode("<|im_start|>", false, true)).containsExactly(1);
    assertThat(tokenizer.encode("<|im_start|>", false, false).length).isGreaterThan(1);
  }

  @Test
  void controlTokensInADocumentAreNoText() {
    var trainer = new BpeTrainer(260, ControlTokens.chat(), "qwen2");
    for (int i = 0; i < 50; i++) {
      trainer.add("<|im_start|>ab<|im_end|>ab");
    }
    assertThat(merges(trainer.train())).containsExactly("a b");
  }

  @ParameterizedTest
  @ValueSource(strings = {"qwen2", "gpt-2", "llama-bpe", "default"})
  void anyTextComesBackAlsoFromTheFile(String pre, @TempDir Path folder) throws IOException {
    Tokenizer trained = trained(documents(), 400, pre);
    Path file = folder.resolve("vocabulary.gguf");
    trained.save(file);
    Tokenizer read;
    try (GgufFile gguf = GgufFile.open(file)) {
      read = Tokenizer.of(gguf.metadata());
    }
    assertThat(read.metadata().keys()).isEqualTo(trained.metadata().keys());
    Seeds.check(
        random -> {
          for (int i = 0; i < 200; i++) {
            String text = RandomText.any(random, 40);
            RandomText.checkRoundTrip(trained, text);
            assertThat(read.encode(text, true, true)).isEqualTo(trained.encode(text, true, true));
          }
        });
  }

  @Test
  void digitsAreSplitAsThePreTokenizerSays() {
    List<String> numbers = Collections.nCopies(20, "1234 1234");
    assertThatThrownBy(() -> trained(numbers, 260, "qwen2"))
        .hasMessage("vocabulary of 260: the text is too small, it gives 259 tokens");
    assertThat(trained(numbers, 261, "llama-bpe").encode("1234", false, false)).hasSize(2);
  }

  @Test
  void aTextTooSmallSaysHowFarItReaches() {
    assertThatThrownBy(() -> new BpeTrainer(300, ControlTokens.chat(), "qwen2").train())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("vocabulary of 300: the text is too small, it gives 259 tokens");
    assertThatThrownBy(() -> trained(List.of("ab ab ab", "cd"), 300, "qwen2"))
        .hasMessage("vocabulary of 300: the text is too small, it gives 261 tokens");
  }

  @Test
  void sizesAndNamesThatDoNotFit() {
    assertThatThrownBy(() -> new BpeTrainer(258, ControlTokens.chat(), "qwen2"))
        .hasMessage("vocabulary of 258: expected 259 (256 bytes and 3 control tokens) to 1048576");
    assertThatThrownBy(() -> new BpeTrainer(Integer.MAX_VALUE, NONE, "qwen2"))
        .hasMessageContaining("expected 256 (256 bytes and 0 control tokens) to 1048576");
    assertThatThrownBy(() -> new BpeTrainer(300, NONE, "qwen9"))
        .hasMessageStartingWith("pre-tokenizer 'qwen9' is not known; known: ");
    assertThatThrownBy(() -> control(List.of("a", "a"), "a", false))
        .hasMessage("control tokens: 'a' stands twice");
    assertThatThrownBy(() -> control(List.of(""), null, false))
        .hasMessage("control tokens: one has an empty name");
    assertThatThrownBy(() -> control(List.of("<s>"), "<b>", false))
        .hasMessage("control tokens: bos '<b>' is none of [<s>]");
    assertThatThrownBy(() -> control(List.of("<s>"), null, true))
        .hasMessage("control tokens: addBos needs a bos token");
    var one = new BpeTrainer(300, control(List.of("a"), null, false), "qwen2");
    assertThatThrownBy(one::train)
        .hasMessage("control token 'a': a token of text is written so too");
    var two = new BpeTrainer(258, control(List.of("Ġb"), null, false), "qwen2");
    two.add(" b b");
    assertThatThrownBy(two::train)
        .hasMessage("control token 'Ġb': a token of text is written so too");
  }

  /** Work for a pair grows with the words that hold it, so a word without end must not be one. */
  @Test
  @Timeout(value = 60, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void oneGiantWord() {
    var random = new Random(3);
    var text = new StringBuilder();
    for (int i = 0; i < 300_000; i++) {
      text.append((char) ('a' + random.nextInt(26)));
    }
    Tokenizer tokenizer = trained(List.of(text.toString()), 1000, "qwen2");
    assertThat(tokenizer.decode(tokenizer.encode(text.toString(), false, false)))
        .isEqualTo(text.toString());
  }

  private static ControlTokens control(List<String> names, String bos, boolean addBos) {
    return new ControlTokens(names, Optional.ofNullable(bos), Optional.empty(), addBos);
  }

  private static Tokenizer trained(List<String> documents, int size, String pre) {
    var trainer = new BpeTrainer(size, ControlTokens.chat(), pre);
    documents.forEach(trainer::add);
    return trainer.train();
  }

  private static List<String> merges(Tokenizer tokenizer) {
    return tokenizer.metadata().requireStrings("tokenizer.ggml.merges");
  }

  /** Words by a rule: enough for a few hundred merges. */
  private static List<String> documents() {
    List<String> syllables = List.of("lo", "ren", "ka", "ti", "mes", "é", "日本", "12");
    var random = new Random(1);
    List<String> documents = new ArrayList<>();
    for (int i = 0; i < 200; i++) {
      var text = new StringBuilder();
      for (int word = 0; word < 30; word++) {
        for (int n = random.nextInt(1, 4); n > 0; n--) {
          text.append(syllables.get(random.nextInt(syllables.size())));
        }
        text.append(random.nextInt(8) == 0 ? ".\n" : " ");
      }
      documents.add(text.toString());
    }
    return documents;
  }
}
