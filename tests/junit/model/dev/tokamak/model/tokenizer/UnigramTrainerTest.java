// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.tokamak.testing.Seeds;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

class UnigramTrainerTest {
  private static final int FIRST_PIECE = 1 + 3 + 256; // <unk>, control tokens, bytes

  @Test
  void anyTextComesBackAlsoFromTheFile(@TempDir Path folder) throws IOException {
    Tokenizer trained = trained(documents(), 400);
    Path file = folder.resolve("vocabulary.gguf");
    trained.save(file);
    Tokenizer read = Tokenizer.open(file);
    Seeds.check(
        random -> {
          for (int i = 0; i < 300; i++) {
            String text = RandomText.any(random, 40).replace("▁", "");
            RandomText.checkRoundTrip(trained, text);
            assertThat(read.encode(text, true, true)).isEqualTo(trained.encode(text, true, true));
          }
        });
  }

  @Test
  void idsAreUnknownControlTokensBytesPieces() {
    Tokenizer tokenizer = trained(documents(), 400);
    assertThat(tokenizer.vocabularySize()).isEqualTo(400);
    assertThat(tokenizer.unknown()).hasValue(0);
    assertThat(tokenizer.kind(0)).isEqualTo(TokenKind.UNKNOWN);
    assertThat(tokenizer.piece(1)).isEqualTo("<|endoftext|>");
    assertThat(tokenizer.piece(4)).isEqualTo("<0x00>");
    assertThat(tokenizer.kind(FIRST_PIECE)).isEqualTo(TokenKind.NORMAL);
    assertThat(tokenizer.bos()).hasValue(1);
    assertThat(tokenizer.eos()).hasValue(1);
    assertThat(tokenizer.ends()).containsExactly(1, 3);
    assertThat(tokenizer.encode("", true, false)).containsExactly(1);
    assertThat(tokenizer.encode("<|im_start|>", false, true)).containsExactly(2);
    float[] scores = tokenizer.metadata().floats("tokenizer.ggml.scores").get();
    double sum = 0;
    for (int id = FIRST_PIECE; id < 400; id++) {
      assertThat(id == FIRST_PIECE || scores[id] <= scores[id - 1]).isTrue();
      sum += Math.exp(scores[id]);
    }
    assertThat(sum).isBetween(0.8, 1.1); // less the last pieces dropped, more the least they get
  }

  @Test
  void whatTheWordsAreMadeOfIsFound() {
    Tokenizer tokenizer = trained(documents(), 340);
    for (String syllable : List.of("lo", "ren", "mes", "▁ren", "▁mes")) {
      assertThat(tokenizer.find(syllable)).as(syllable).isPresent();
    }
    for (int id = FIRST_PIECE; id < 340; id++) {
      assertThat(tokenizer.piece(id).lastIndexOf('▁')).isLessThanOrEqualTo(0);
    }
  }

  /** More probable ways to write the words than single characters, or another set as large. */
  @Test
  void trainingShortensTheText() {
    Tokenizer tokenizer = trained(documents(), 340);
    int pieces = 0;
    int characters = 0;
    for (String document : documents()) {
      pieces += tokenizer.encode(document, false, false).length;
      characters += document.length();
    }
    assertThat(pieces).isLessThan(characters / 2);
  }

  @Test
  void theOrderOfDocumentsDoesNotMatter() {
    List<String> documents = documents();
    Tokenizer first = trained(documents, 350);
    Collections.shuffle(documents, new Random(5));
    Tokenizer second = trained(documents, 350);
    float[] scores = first.metadata().floats("tokenizer.ggml.scores").get();
    assertThat(second.metadata().floats("tokenizer.ggml.scores").get()).containsExactly(scores);
    for (int id = 0; id < 350; id++) {
      assertThat(second.piece(id)).isEqualTo(first.piece(id));
    }
  }

  @Test
  void seedsAreTheSubstringsThatBranch() {
    Seeds.check(
        random -> {
          for (int round = 0; round < 40; round++) {
            var words = new TreeMap<String, Long>();
            for (int n = random.nextInt(1, 20); n > 0; n--) {
              var word = new StringBuilder();
              for (int length = random.nextInt(1, 20); length > 0; length--) {
                word.appendCodePoint(random.nextInt(3) == 0 ? 0x1f600 : 'a' + random.nextInt(2));
              }
              words.put(word.toString(), random.nextLong(1, 4));
            }
            assertThat(counts(SeedPieces.of(words, Integer.MAX_VALUE)))
                .isEqualTo(substringsThatBranch(words));
          }
        });
  }

  private static Map<String, Long> counts(List<SeedPieces.Seed> seeds) {
    var counts = new TreeMap<String, Long>();
    seeds.forEach(seed -> counts.put(seed.piece(), seed.count()));
    return counts;
  }

  private static Map<String, Long> substringsThatBranch(Map<String, Long> words) {
    var counts = new TreeMap<String, Long>();
    var next = new TreeMap<String, HashSet<Integer>>();
    words.forEach(
        (word, count) -> {
          int[] characters = word.codePoints().toArray();
          for (int from = 0; from < characters.length; from++) {
            for (int to = from + 2; to <= Math.min(characters.length, from + 16); to++) {
              String piece = new String(characters, from, to - from);
              counts.merge(piece, count, Long::sum);
              next.computeIfAbsent(piece, _ -> new HashSet<>())
                  .add(to < characters.length ? characters[to] : -1);
            }
          }
        });
    counts
        .entrySet()
        .removeIf(
            entry -> {
              HashSet<Integer> after = next.get(entry.getKey());
              boolean longest = entry.getKey().codePointCount(0, entry.getKey().length()) == 16;
              boolean branches = after.size() > 1 || after.contains(-1) || longest;
              return entry.getValue() < 2 || !branches;
            });
    return counts;
  }

  /** Expected counts by writing out all ways. */
  @Test
  void estimationWeighsAllWays() {
    Map<String, Long> words = new TreeMap<>(Map.of("aba", 3L, "ab", 2L));
    Map<String, Long> characters = new TreeMap<>(Map.of("a", 8L, "b", 5L));
    var model =
        new PieceModel(
            words, characters, List.of(new SeedPieces.Seed("ab", 5), new SeedPieces.Seed("ba", 3)));
    double a = model.probability(0);
    double b = model.probability(1);
    double ab = model.probability(2);
    double ba = model.probability(3);
    assertThat(a + b + ab + ba).isCloseTo(1, within(1e-12));
    double aba = a * b * a + ab * a + a * ba;
    double abAlone = a * b + ab;
    double[] expected = new double[4];
    var lattice = new PieceLattice(model);
    lattice.expect(new byte[] {'a', 'b', 'a'}, 3, expected);
    lattice.expect(new byte[] {'a', 'b'}, 2, expected);
    assertThat(expected[2]).isCloseTo(3 * ab * a / aba + 2 * ab / abAlone, within(1e-12));
    assertThat(expected[3]).isCloseTo(3 * a * ba / aba, within(1e-12));
    assertThat(Arrays.stream(expected).sum())
        .isCloseTo(
            3 * (3 * a * b * a + 2 * ab * a + 2 * a * ba) / aba + 2 * (2 * a * b + ab) / abAlone,
            within(1e-12));
  }

  @Test
  void estimationDropsWhatIsNotToBeExpected() {
    var model =
        new PieceModel(
            new TreeMap<>(Map.of("ab", 5L)),
            new TreeMap<>(Map.of("a", 5L, "b", 5L)),
            List.of(new SeedPieces.Seed("bb", 9), new SeedPieces.Seed("ab", 5)));
    model.estimate();
    assertThat(pieces(model)).containsExactly("a", "b", "ab");
  }

  @Test
  void pruningKeepsWhatIsHardToWriteOtherwise() {
    // "abc" is rare; "cd" is made of frequent characters, "ef" of rare ones.
    var words = new TreeMap<>(Map.of("abc", 1L, "cd", 20L, "ef", 20L, "c", 30L, "d", 30L));
    var characters =
        new TreeMap<>(Map.of("a", 1L, "b", 1L, "c", 51L, "d", 50L, "e", 20L, "f", 20L));
    var model =
        new PieceModel(
            words,
            characters,
            List.of(
                new SeedPieces.Seed("abc", 1),
                new SeedPieces.Seed("cd", 20),
                new SeedPieces.Seed("ef", 20)));
    model.prune(7);
    assertThat(pieces(model)).containsExactly("a", "b", "c", "d", "e", "f", "ef");
  }

  private static List<String> pieces(PieceModel model) {
    return IntStream.range(0, model.size()).mapToObj(model::piece).toList();
  }

  @Test
  void sizesThatDoNotFit() {
    assertThatThrownBy(() -> new UnigramTrainer(260, ControlTokens.chat(), "gpt-2"))
        .hasMessage(
            "vocabulary of 260: expected more than 260 (<unk>, 256 bytes and 3 control tokens), at"
                + " most 1048576");
    assertThatThrownBy(() -> new UnigramTrainer(300, ControlTokens.chat(), "gpt-22"))
        .hasMessageStartingWith("pre-tokenizer 'gpt-22' is not known; known: ");
    assertThatThrownBy(() -> trained(List.of("abcdefghij"), 265))
        .hasMessage(
            "vocabulary of 265: the text has 11 different characters, expected at least 271");
    assertThatThrownBy(() -> trained(List.of("ab ab ab"), 300))
        .hasMessageMatching("vocabulary of 300: the text is too small, it gives 26[0-9] tokens");
    assertThatThrownBy(() -> new UnigramTrainer(300, ControlTokens.chat(), "gpt-2").train())
        .hasMessage("vocabulary of 300: the text is too small, it gives 261 tokens");
    var names = new ControlTokens(List.of("<0x41>"), Optional.empty(), Optional.empty(), false);
    var enough = new UnigramTrainer(260, names, "gpt-2");
    enough.add("a");
    assertThatThrownBy(enough::train)
        .hasMessage("control token '<0x41>': another token is written so too");
  }

  @Test
  @Timeout(value = 60, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void oneGiantWord() {
    var random = new Random(3);
    var text = new StringBuilder();
    for (int i = 0; i < 200_000; i++) {
      text.append((char) ('a' + random.nextInt(26)));
    }
    Tokenizer tokenizer = trained(List.of(text.toString()), 500);
    assertThat(tokenizer.decode(tokenizer.encode(text.toString(), false, false)))
        .isEqualTo(text.toString());
  }

  private static Tokenizer trained(List<String> documents, int size) {
    var trainer = new UnigramTrainer(size, ControlTokens.chat(), "gpt-2");
    documents.forEach(trainer::add);
    return trainer.train();
  }

  /** Words by a rule. */
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
