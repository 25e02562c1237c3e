// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.tokenizer.BpeTrainer;
import dev.tokamak.model.tokenizer.ControlTokens;
import dev.tokamak.model.tokenizer.Tokenizer;
import dev.tokamak.testing.TestData;
import dev.tokamak.train.Example;
import dev.tokamak.train.Source;
import dev.tokamak.train.Stage;
import dev.tokamak.train.TrainConfig;
import dev.tokamak.train.TrainEvent;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a step learns from: all of the data, nothing else, in an order that can be entered. */
class TrainingDataTest {
  private static final Tokenizer TOKENIZER =
      new BpeTrainer(259, ControlTokens.chat(), "gpt-2").train();

  @TempDir private Path folder;
  private final List<String> notes = new ArrayList<>();

  private TrainingData open(Stage stage, Map<String, Object> data, int tokens) {
    return open(stage, data, tokens, 7);
  }

  private TrainingData open(Stage stage, Map<String, Object> data, int tokens, long seed) {
    Map<String, Object> values = new HashMap<>();
    values.put("base", "base.gguf");
    values.put("data", data);
    values.put("steps", 10);
    values.put("batch", Map.of("sequences", 3, "tokens", tokens, "accumulate", 2));
    values.put("checkpoint", Map.of("dir", folder.resolve("checkpoints").toString()));
    values.put("seed", seed);
    TrainConfig config = TrainConfig.of(stage, values, "a.yaml");
    return new TrainingData(
        config,
        TOKENIZER,
        ChatFormat.chatMl(TOKENIZER),
        event -> notes.add(((TrainEvent.Warned) event).message()));
  }

  private String file(String name, String content) throws IOException {
    return Files.writeString(folder.resolve(name), content).toString();
  }

  private static List<Example> examples(Source source, long steps) {
    var all = new ArrayList<Example>();
    for (long step = 0; step < steps; step++) {
      source.step(step).forEach(all::addAll);
    }
    return all;
  }

  private static String text(Example example) {
    return TOKENIZER.decodeWithSpecial(example.tokens());
  }

  private static String stories(int count) {
    var text = new StringBuilder();
    for (int i = 0; i < count; i++) {
      text.append("Story ").append(i).append(' ').append("x".repeat(i % 50)).append(".<|endoftext|>\n");
    }
    return text.toString();
  }

  @Test
  void anEpochOfWindowsHasAllOfEveryDocument() throws IOException {
    Map<String, Object> data = Map.of("train", file("a.txt", stories(300)), "valid", 0);
    try (TrainingData training = open(Stage.PRETRAIN, data, 16)) {
      long steps = (long) Math.ceil(training.stepsOfAnEpoch());
      List<Example> all = examples(training.training(), steps);
      var seen = new HashSet<Long>();
      for (Example example : all) {
        // A document begins with a separator and ends with one, and has none within.
        String text = text(example);
        assertThat(text.indexOf("<|endoftext|>", 1)).isIn(-1, text.length() - 13);
        for (int i = 1; i < example.tokens().length; i++) {
          seen.add(example.id() + i);
        }
      }
      // Every token behind a document's first is predicted, but for those of less than a window
      // where the windows of an epoch end.
      assertThat((long) seen.size()).isBetween(training.tokens() - 300 - 17, training.tokens() - 300);
    }
  }

  @Test
  void aStepIsTheSameWhereverOneEnters() throws IOException {
    Map<String, Object> data =
        Map.of(
            "train",
            List.of(
                file("a.txt", stories(100)),
                Map.of("file", file("b.txt", stories(40)), "weight", 0.3)));
    List<List<List<String>>> first;
    try (TrainingData training = open(Stage.PRETRAIN, data, 32)) {
      first = IntStream.range(0, 40).mapToObj(step -> texts(training.training(), step)).toList();
      assertThat(first.get(0)).hasSize(2);
    }
    try (TrainingData again = open(Stage.PRETRAIN, data, 32)) {
      for (int step : new int[] {39, 0, 17, 5}) {
        assertThat(texts(again.training(), step)).isEqualTo(first.get(step));
      }
    }
    try (TrainingData other = open(Stage.PRETRAIN, data, 32, 8)) {
      assertThat(texts(other.training(), 0)).isNotEqualTo(first.get(0));
    }
  }

  private static List<List<String>> texts(Source source, long step) {
    return source.step(step).stream()
        .map(part -> part.stream().map(TrainingDataTest::text).toList())
        .toList();
  }

  @Test
  void heldOutDocumentsAreNotLearnedFrom() throws IOException {
    Map<String, Object> data = Map.of("train", file("a.txt", stories(200)), "valid", 0.1);
    try (TrainingData training = open(Stage.PRETRAIN, data, 2000)) {
      String learned = words(examples(training.training(), 10));
      String heldOut = words(examples(training.validation(), training.validationBatches()));
      List<Integer> both = new ArrayList<>();
      int held = 0;
      for (int i = 0; i < 200; i++) {
        String name = "Story " + i + " ";
        held += heldOut.contains(name) ? 1 : 0;
        if (heldOut.contains(name) && learned.contains(name)) {
          both.add(i);
        }
      }
      assertThat(held).isEqualTo(20);
      assertThat(both).isEmpty();
    }
    assertThat(notes).isEmpty();
  }

  private static String words(List<Example> examples) {
    var text = new StringBuilder();
    examples.forEach(example -> text.append(text(example)).append('\n'));
    return text.toString();
  }

  @Test
  void filesMayBeHeldOut() throws IOException {
    Map<String, Object> data =
        Map.of("train", file("a.txt", stories(20)), "valid", file("v.txt", "Held out."));
    try (TrainingData training = open(Stage.PRETRAIN, data, 64)) {
      assertThat(training.validationBatches()).isEqualTo(1);
      assertThat(texts(training.validation(), 0))
          .containsExactly(List.of("<|endoftext|>Held out.<|endoftext|>"));
    }
  }

  @Test
  void tooFewDocumentsToHoldOneOutIsNoted() throws IOException {
    Map<String, Object> data = Map.of("train", file("a.txt", "One."));
    try (TrainingData training = open(Stage.PRETRAIN, data, 64)) {
      assertThat(training.validationBatches()).isZero();
      assertThat(texts(training.training(), 3).getFirst())
          .hasSize(3)
          .containsOnly("<|endoftext|>One.<|endoftext|>");
    }
    assertThat(notes)
        .containsExactly(
            "nothing is held out: no file of data.train has 100 documents; data.valid may name"
                + " other files or a larger part");
  }

  @Test
  void shardsAreMadeOnceAndAgainWhenTheFileChanges() throws IOException {
    String path = file("a.txt", stories(10));
    Map<String, Object> data = Map.of("train", path, "valid", 0);
    open(Stage.PRETRAIN, data, 8).close();
    Map<Path, FileTime> made = shards();
    assertThat(made).hasSize(2);
    open(Stage.PRETRAIN, data, 16).close(); // the window is no part of a shard
    assertThat(shards()).isEqualTo(made);
    file("a.txt", stories(11));
    open(Stage.PRETRAIN, data, 8).close();
    assertThat(shards()).hasSize(4);
  }

  private Map<Path, FileTime> shards() throws IOException {
    var times = new HashMap<Path, FileTime>();
    try (Stream<Path> files = Files.list(folder.resolve("checkpoints/data"))) {
      for (Path file : files.toList()) {
        times.put(file, Files.getLastModifiedTime(file));
      }
    }
    return times;
  }

  @Test
  void aShardThatIsNotWholeIsMadeAgain() throws IOException {
    Map<String, Object> data = Map.of("train", file("a.txt", stories(10)), "valid", 0);
    open(Stage.PRETRAIN, data, 8).close();
    for (Path shard : shards().keySet()) {
      byte[] bytes = Files.readAllBytes(shard);
      Files.write(shard, java.util.Arrays.copyOf(bytes, bytes.length - 8));
    }
    try (TrainingData training = open(Stage.PRETRAIN, data, 8)) {
      assertThat(training.tokens()).isGreaterThan(100);
    }
  }

  @Test
  void aShardOfOtherTokensIsNotLearnedFrom() throws IOException {
    Map<String, Object> data = Map.of("train", file("a.txt", stories(10)), "valid", 0);
    open(Stage.PRETRAIN, data, 8).close();
    Path shard =
        shards().keySet().stream().filter(p -> !p.toString().contains("held-out")).findFirst()
            .orElseThrow();
    byte[] bytes = Files.readAllBytes(shard);
    bytes[100] ^= 1; // a token of the vocabulary again
    Files.write(shard, bytes);
    assertThatThrownBy(() -> open(Stage.PRETRAIN, data, 8))
        .isInstanceOf(FormatException.class)
        .hasMessageEndingWith(shard.getFileName() + ": damaged; delete it, and it is made again");
    Files.delete(shard);
    open(Stage.PRETRAIN, data, 8).close();
  }

  @Test
  void aBrokenFileLeavesNoShard() throws IOException {
    Path bad = folder.resolve("bad.txt");
    Files.write(bad, new byte[] {'a', (byte) 0xff});
    Map<String, Object> data = Map.of("train", bad.toString());
    assertThatThrownBy(() -> open(Stage.PRETRAIN, data, 8))
        .isInstanceOf(FormatException.class)
        .hasMessage(bad + ": line 1: not UTF-8: byte 0xff at offset 1");
    assertThat(shards()).isEmpty();
  }

  @Test
  void onlyTheAssistantsTokensAreLearned() throws IOException {
    String line =
        """
        {"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"},\
         {"role": "assistant", "content": "Yo", "weight": 0}, {"role": "user", "content": "A"},\
         {"role": "assistant", "content": "Bé"}]}
        """;
    Map<String, Object> data = Map.of("train", file("a.jsonl", line));
    try (TrainingData training = open(Stage.SFT, data, 200)) {
      Example example = training.training().step(0).getFirst().getFirst();
      assertThat(text(example))
          .isEqualTo(
              "<|endoftext|><|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
                  + "<|im_start|>assistant\nYo<|im_end|>\n<|im_start|>user\nA<|im_end|>\n"
                  + "<|im_start|>assistant\nBé<|im_end|>");
      int[] learned = example.targets().stream().map(i -> example.tokens()[i]).toArray();
      assertThat(TOKENIZER.decodeWithSpecial(learned)).isEqualTo("Bé<|im_end|>");
      assertThat(example.targets().length()).isEqualTo(example.tokens().length);
    }
  }

  @Test
  void everyAnswerOfAConversationIsLearned() throws IOException {
    String line =
        """
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"},\
         {"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}]}
        {"instruction": "Add", "input": "1 + 2", "output": "3"}
        """;
    Map<String, Object> data = Map.of("train", file("a.jsonl", line));
    try (TrainingData training = open(Stage.SFT, data, 200)) {
      List<String> learned =
          training.training().step(0).getFirst().stream()
              .map(
                  e ->
                      TOKENIZER.decodeWithSpecial(
                          e.targets().stream().map(i -> e.tokens()[i]).toArray()))
              .toList();
      assertThat(learned).contains("Yo<|im_end|>B<|im_end|>", "3<|im_end|>");
      assertThat(words(training.training().step(0).getFirst())).contains("user\nAdd\n\n1 + 2<|");
    }
  }

  @Test
  void longConversationsAreCutAndCounted() throws IOException {
    String line =
        """
        {"instruction": "Q", "output": "A very long answer, much too long for the window."}
        {"instruction": "A question that is longer than the window, so that no answer is in it", \
        "output": "A"}
        {"instruction": "Q", "output": "A"}
        """;
    Map<String, Object> data = Map.of("train", file("a.jsonl", line), "valid", 0);
    try (TrainingData training = open(Stage.SFT, data, 40)) {
      assertThat(examples(training.training(), 1)).allMatch(e -> e.rows() <= 40);
    }
    assertThat(notes)
        .containsExactly(
            folder.resolve("a.jsonl")
                + ": cut at batch.tokens, 40: 1 of 2 sequences; left out: 1, what is to be learned"
                + " begins behind that");
    assertThatThrownBy(() -> open(Stage.SFT, data, 10))
        .isInstanceOf(FormatException.class)
        .hasMessage(
            folder.resolve("a.jsonl")
                + ": nothing to learn from in the first 10 tokens (batch.tokens) of any sequence");
  }

  @Test
  void aPairIsTwoExamplesOfOnePrompt() throws IOException {
    String lines =
        """
        {"prompt": "Q", "chosen": "Good", "rejected": "Bad"}
        {"instruction": "I", "input": "", "chosen": "Good", "rejected": "Bad"}
        {"chosen": [{"role": "user", "content": "U"}, {"role": "assistant", "content": "Good"}],\
         "rejected": [{"role": "user", "content": "U"}, {"role": "assistant", "content": "Bad"}]}
        {"prompt": "W", "chosen": [{"role": "user", "content": "W"},\
         {"role": "assistant", "content": "Good"}], "rejected": [{"role": "user", "content": "W"},\
         {"role": "assistant", "content": "Bad"}]}
        {"prompt": "", "chosen": [{"role": "user", "content": "E"},\
         {"role": "assistant", "content": "Good"}], "rejected": [{"role": "user", "content": "E"},\
         {"role": "assistant", "content": "Bad"}]}
        {"prompt": [{"role": "user", "content": "L"}], "chosen": [{"role": "user", "content": "L"},\
         {"role": "assistant", "content": "Good"}], "rejected": "Bad"}
        {"prompt": "T", "chosen": "Same", "rejected": "Same"}
        """;
    Map<String, Object> data = Map.of("train", file("a.jsonl", lines));
    try (TrainingData training = open(Stage.DPO, data, 200)) {
      List<Example> part = training.training().step(0).stream().flatMap(List::stream).toList();
      assertThat(part).hasSize(12);
      for (int i = 0; i < 12; i += 2) {
        assertThat(text(part.get(i))).endsWith("<|im_start|>assistant\nGood<|im_end|>");
        assertThat(text(part.get(i + 1)))
            .isEqualTo(text(part.get(i)).replace("Good", "Bad"));
        assertThat(part.get(i).outputs()).isEqualTo(5);
        assertThat(part.get(i + 1).outputs()).isEqualTo(4);
        assertThat(part.get(i).id() % 2).isZero();
        assertThat(part.get(i + 1).id()).isEqualTo(part.get(i).id() + 1);
      }
    }
    assertThat(notes.getFirst()).contains("; left out: 1 pairs, ");
    String tie = file("tie.jsonl", "{\"prompt\": \"T\", \"chosen\": \"A\", \"rejected\": \"A\"}");
    assertThatThrownBy(() -> open(Stage.DPO, Map.of("train", tie, "valid", 0), 200))
        .isInstanceOf(FormatException.class)
        .hasMessage(
            tie + ": nothing to learn from in the first 200 tokens (batch.tokens) of any pair, or"
                + " both of its answers are the same");
  }

  @Test
  void aSystemMessageMayStandBeside() throws IOException {
    String chat =
        """
        {"system": "S", "instruction": "Q", "output": "A"}
        {"system": "S", "messages": [{"role": "user", "content": "Q"},\
         {"role": "assistant", "content": "A"}]}
        {"messages": [{"role": "developer", "content": "S"}, {"role": "user", "content": "Q"},\
         {"role": "assistant", "content": "A"}]}
        """;
    String pair =
        """
        {"system": "S", "prompt": "Q", "chosen": "A", "rejected": "B"}
        {"system": "S", "chosen": [{"role": "system", "content": "S"},\
         {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}],\
         "rejected": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "B"}]}
        """;
    String text =
        "<|endoftext|><|im_start|>system\nS<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n"
            + "<|im_start|>assistant\n";
    try (TrainingData chats =
            open(Stage.SFT, Map.of("train", file("a.jsonl", chat), "valid", 0), 200);
        TrainingData pairs =
            open(Stage.DPO, Map.of("train", file("b.jsonl", pair), "valid", 0), 200)) {
      assertThat(texts(chats.training(), 0).getFirst()).containsOnly(text + "A<|im_end|>");
      assertThat(texts(pairs.training(), 0).getFirst())
          .containsOnly(text + "A<|im_end|>", text + "B<|im_end|>");
    }
  }

  @Test
  void realCorporaAreRead() {
    String corpora = TestData.path("corpora").toString();
    try (TrainingData text =
            open(
                Stage.PRETRAIN,
                Map.of(
                    "train",
                    List.of(
                        corpora + "/tinystories-sample-train.txt",
                        corpora + "/picture-books-ccby.jsonl.gz")),
                128);
        TrainingData chat =
            open(
                Stage.SFT,
                Map.of(
                    "train",
                    List.of(
                        corpora + "/sft-stories-train.jsonl",
                        corpora + "/sft-instructions.jsonl",
                        corpora + "/dolly-open-qa-ccbysa.jsonl.gz")),
                2000);
        TrainingData pairs =
            open(Stage.DPO, Map.of("train", corpora + "/dpo-politeness.jsonl"), 2000)) {
      assertThat(text.tokens()).isGreaterThan(2_000_000);
      assertThat(chat.validationBatches()).isGreaterThan(10);
      assertThat(examples(pairs.training(), 1)).hasSize(12);
    }
  }
}
