// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.model.tokenizer.Tokenizer;
import dev.tokamak.model.tokenizer.Unigram;
import dev.tokamak.train.ConfigException;
import dev.tokamak.train.Stage;
import dev.tokamak.train.TrainConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A new model's tokenizer is the one that the configuration says. */
class NewTokenizerTest {
  @TempDir private Path folder;

  private TrainConfig config(Object tokenizer) throws IOException {
    Path file = folder.resolve("a.txt");
    Files.writeString(file, "the cat and the dog and the cat<|endoftext|>the dog and the cat");
    return TrainConfig.of(
        Stage.PRETRAIN,
        Map.of(
            "model",
            Map.of("layers", 1, "dim", 8, "heads", 2, "context", 256),
            "tokenizer",
            tokenizer,
            "data",
            Map.of("train", file.toString()),
            "steps",
            1),
        "a.yaml");
  }

  @Test
  void itIsTrainedOnTheData() throws IOException {
    TrainConfig config =
        config(Map.of("train", "bpe", "vocab", 270, "special", List.of("<|think|>")));
    Tokenizer tokenizer = NewTokenizer.of(config, _ -> {});
    assertThat(tokenizer.vocabularySize()).isEqualTo(270);
    assertThat(tokenizer.find("<|think|>")).isPresent();
    assertThat(tokenizer.encode("the cat", false, false).length).isLessThan(5);
    Tokenizer again = NewTokenizer.of(config, _ -> {});
    for (int id = 0; id < 270; id++) {
      assertThat(again.piece(id)).isEqualTo(tokenizer.piece(id));
    }
  }

  @Test
  void aUnigramTokenizerIsTrainedToo() throws IOException {
    Tokenizer tokenizer = NewTokenizer.of(config(Map.of("train", "unigram", "vocab", 274)), _ -> {});
    assertThat(tokenizer).isInstanceOf(Unigram.class);
    assertThat(tokenizer.vocabularySize()).isEqualTo(274);
    assertThat(tokenizer.decode(tokenizer.encode("the cat", false, false))).isEqualTo("the cat");
  }

  @Test
  void aVocabularyWithoutRoomForTheBytesIsSaid() throws IOException {
    TrainConfig config = config(Map.of("train", "unigram", "vocab", 260));
    assertThatThrownBy(() -> NewTokenizer.of(config, _ -> {}))
        .isInstanceOf(ConfigException.class)
        .hasMessageStartingWith("a.yaml: tokenizer.vocab: vocabulary of 260: expected more than ");
  }

  @Test
  void tooLittleTextForTheVocabularyIsSaid() throws IOException {
    TrainConfig config = config(Map.of("train", "bpe", "vocab", 3000));
    assertThatThrownBy(() -> NewTokenizer.of(config, _ -> {}))
        .isInstanceOf(ConfigException.class)
        .hasMessageStartingWith("a.yaml: tokenizer.vocab: ");
  }

  @Test
  void itIsReadFromAFile() throws IOException {
    Path file = folder.resolve("t.gguf");
    NewTokenizer.of(config(Map.of("train", "bpe", "vocab", 262)), _ -> {}).save(file);
    assertThat(NewTokenizer.of(config(file.toString()), _ -> {}).vocabularySize()).isEqualTo(262);
  }
}
