// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.recipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.tokamak.backend.Backends;
import dev.tokamak.model.Model;
import dev.tokamak.model.chat.ChatTemplate;
import dev.tokamak.model.chat.Message;
import dev.tokamak.model.format.gguf.GgufFile;
import dev.tokamak.model.tokenizer.BpeTrainer;
import dev.tokamak.model.tokenizer.ControlTokens;
import dev.tokamak.testing.Golden;
import dev.tokamak.train.Base;
import dev.tokamak.train.ConfigException;
import dev.tokamak.train.Example;
import dev.tokamak.train.Stage;
import dev.tokamak.train.TrainConfig;
import dev.tokamak.train.TrainEvent;
import dev.tokamak.train.TrainException;
import dev.tokamak.train.TrainListener;
import dev.tokamak.train.data.TrainingData;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The life of a tiny model, on the reference backend. */
class RecipesTest {
  @TempDir Path folder;

  @BeforeEach
  void writeData() throws IOException {
    StringBuilder text = new StringBuilder();
    StringBuilder chats = new StringBuilder();
    StringBuilder pairs = new StringBuilder();
    StringBuilder questions = new StringBuilder();
    for (int i = 0; i < 40; i++) {
      String animal = List.of("cat", "dog", "hen", "cow").get(i % 4);
      text.append("The ").append(animal).append(" sat on the mat number ").append(i)
          .append(". It was a good ").append(animal).append(".\n<|endoftext|>\n");
      chats.append(
          "{\"messages\":[{\"role\":\"user\",\"content\":\"Say %d\"},"
                  .formatted(i)
              + "{\"role\":\"assistant\",\"content\":\"The %s\"}]}\n".formatted(animal));
      pairs.append(
          "{\"prompt\":\"Say %d\",\"chosen\":\"The %s\",\"rejected\":\"the mat\"}\n"
              .formatted(i, animal));
      questions.append("{\"prompt\":\"Say %d\",\"words\":[\"a\"]}\n".formatted(i));
    }
    Files.writeString(folder.resolve("text.txt"), text);
    Files.writeString(folder.resolve("chats.jsonl"), chats);
    Files.writeString(folder.resolve("pairs.jsonl"), pairs);
    Files.writeString(folder.resolve("questions.jsonl"), questions);
  }

  @ParameterizedTest
  @EnumSource
  void everyStageGoesOnWithTheSameBits(Stage stage) throws IOException {
    if (stage != Stage.PRETRAIN) {
      run(Stage.PRETRAIN, config(Stage.PRETRAIN, "base"), false);
    }
    Map<String, Object> config = config(stage, "a");
    List<TrainEvent> events = run(stage, config, false);
    byte[] whole = Files.readAllBytes(folder.resolve("a.gguf"));

    List<TrainEvent.Validated> looks = all(events, TrainEvent.Validated.class);
    assertThat(looks).extracting(TrainEvent.Validated::step).containsExactly(0L, 4L, 6L);
    if (stage != Stage.GRPO) {
      assertThat(looks.getLast().loss()).isLessThan(looks.getFirst().loss());
    }
    if (stage == Stage.DPO) { // at first it is its reference, and prefers nothing
      assertThat(looks.getFirst().loss()).isEqualTo(Math.log(2), within(1e-6));
      assertThat(looks.getFirst().measures()).containsEntry("margin", 0.0);
    }
    assertThat(all(events, TrainEvent.Sampled.class)).hasSize(3);
    assertThat(events.getLast()).isInstanceOf(TrainEvent.Finished.class);

    // The same again, but stopped after the fourth step.
    run(stage, config(stage, "b"), false);
    delete(folder.resolve("b").resolve("step-000006"));
    Files.delete(folder.resolve("b.gguf"));
    List<TrainEvent> rest = run(stage, config(stage, "b"), true);
    assertThat(all(rest, TrainEvent.Step.class)).hasSize(2);
    assertThat(Files.readAllBytes(folder.resolve("b.gguf"))).isEqualTo(whole);

    try (Model model = Model.open(folder.resolve("a.gguf"))) {
      assertThat(model.tokenizer().vocabularySize()).isEqualTo(280);
    }
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "PRETRAIN")
  void adaptersAreAFileOfTheirOwn(Stage stage) throws IOException {
    run(Stage.PRETRAIN, config(Stage.PRETRAIN, "base"), false);
    Map<String, Object> config = config(stage, "lora");
    config.put("lora", Map.of("rank", 2, "targets", List.of("attn_q", "ffn_down")));
    config.put("data", with(config.get("data"), "valid", 0));
    List<TrainEvent> events = run(stage, config, false);
    var started = (TrainEvent.Started) events.stream()
        .filter(TrainEvent.Started.class::isInstance).findFirst().orElseThrow();
    assertThat(started.trainable()).isEqualTo(2 * (16 + 16) + 2 * (32 + 16));
    try (GgufFile file = GgufFile.open(folder.resolve("lora.gguf"))) {
      assertThat(file.metadata().string("adapter.type")).contains("lora");
      assertThat(file.tensors()).hasSize(4);
    }
  }

  @Test
  void withoutResumeAnEarlierTrainingIsSetAside() throws IOException {
    Map<String, Object> config = config(Stage.PRETRAIN, "a");
    run(Stage.PRETRAIN, config, false);
    Path output = folder.resolve("a.gguf");
    byte[] first = Files.readAllBytes(output);
    Files.delete(output);
    List<TrainEvent> events = run(Stage.PRETRAIN, config, false);
    assertThat(Files.readAllBytes(output)).as("one configuration, the same bytes").isEqualTo(first);
    assertThat(events).anySatisfy(
        event -> assertThat(event.toString()).contains("before-1", "starting anew"));
    try (Stream<Path> aside = Files.walk(folder)) {
      assertThat(aside.map(Path::toString))
          .anyMatch(path -> path.contains("before-1") && path.endsWith("weights.safetensors"));
    }
  }

  @Test
  void onlyWhatATrainingMadeIsSetAside() throws IOException {
    // One folder for a whole life, and for all else that its owner has.
    Map<String, Object> config = config(Stage.PRETRAIN, "a");
    Map<String, Object> checkpoint = Map.of("dir", folder.toString(), "every", 4);
    config.put("checkpoint", checkpoint);
    config.put("output", folder.resolve("base.gguf").toString());
    List<Path> own = List.of(folder.resolve("notes.md"), folder.resolve("old.part/a.txt"));
    for (Path path : own) {
      Files.createDirectories(path.getParent());
      Files.writeString(path, "mine");
    }
    run(Stage.PRETRAIN, config, false);
    Files.createFile(folder.resolve("metrics.jsonl"));
    run(Stage.PRETRAIN, config, false);
    Map<String, Object> next = config(Stage.SFT, "b");
    next.put("checkpoint", checkpoint);
    run(Stage.SFT, next, false);
    assertThat(own).allMatch(Files::exists);
    assertThat(folder.resolve("base.gguf")).exists();
    try (Stream<Path> aside = Files.list(folder.resolve("before-1"))) {
      assertThat(aside.map(path -> path.getFileName().toString()))
          .containsExactlyInAnyOrder("step-000004", "step-000006", "metrics.jsonl");
    }
    assertThat(folder.resolve("before-2/step-000006")).exists();
    assertThat(folder.resolve("step-000006")).exists();
  }

  @Test
  void aTrainingThatCannotBeginLeavesTheEarlierOne() throws IOException {
    Map<String, Object> config = config(Stage.PRETRAIN, "a");
    run(Stage.PRETRAIN, config, false);
    Map<String, Object> wrong = config(Stage.PRETRAIN, "a");
    wrong.put("data", Map.of("train", "none.txt"));
    assertThatThrownBy(() -> run(Stage.PRETRAIN, wrong, false)).hasMessage("none.txt: no such file");
    wrong.putAll(config);
    wrong.put("output", folder.toString());
    assertThatThrownBy(() -> run(Stage.PRETRAIN, wrong, false)).hasMessageContaining("a folder");
    assertThat(folder.resolve("a/before-1")).doesNotExist();
    assertThat(all(run(Stage.PRETRAIN, config, true), TrainEvent.Step.class)).isEmpty();
  }

  @Test
  void aTrainingThatNeverBeganLeavesNoFolder() {
    Map<String, Object> config = config(Stage.PRETRAIN, "a");
    config.put("output", folder.toString());
    Map<String, Object> data = Map.of("train", folder.resolve("pairs.jsonl").toString());
    config.put("data", data); // no text in it: it fails while shards are made
    config.put("tokenizer", Golden.path("llama-f32.gguf").toString());
    assertThatThrownBy(() -> run(Stage.PRETRAIN, config, false)).hasMessageContaining("\"text\"");
    assertThat(folder.resolve("a")).doesNotExist();
  }

  @Test
  void resumingNothingIsSaid() {
    assertThat(run(Stage.PRETRAIN, config(Stage.PRETRAIN, "a"), true))
        .contains(
            new TrainEvent.Warned(
                "no checkpoint in " + folder.resolve("a") + ": beginning at step 1"));
  }

  @Test
  void otherSettingsAreNotResumed() throws IOException {
    run(Stage.PRETRAIN, config(Stage.PRETRAIN, "a"), false);
    Map<String, Object> other = config(Stage.PRETRAIN, "a");
    other.put("seed", 8);
    assertThatThrownBy(() -> run(Stage.PRETRAIN, other, true))
        .isInstanceOf(TrainException.class)
        .hasMessageContaining("seed: ")
        .hasMessageContaining("was made with 7, now it is 8");
  }

  @Test
  void pretrainingMayGoOnWithAModel() throws IOException {
    run(Stage.PRETRAIN, config(Stage.PRETRAIN, "base"), false);
    Map<String, Object> config = config(Stage.PRETRAIN, "more");
    config.remove("model");
    config.remove("tokenizer");
    config.put("base", folder.resolve("base.gguf").toString());
    config.put("optimizer", Map.of("name", "muon", "lr", 0.01));
    config.put("type", "bf16");
    config.put("recompute", true);
    List<TrainEvent.Validated> first =
        all(
            run(Stage.PRETRAIN, config(Stage.PRETRAIN, "again"), false),
            TrainEvent.Validated.class);
    List<TrainEvent> events = run(Stage.PRETRAIN, config, false);
    List<TrainEvent.Validated> looks = all(events, TrainEvent.Validated.class);
    // It begins where the other ended, but for rounded products, and gets better.
    assertThat(looks.getFirst().loss()).isEqualTo(first.getLast().loss(), within(0.01));
    assertThat(looks.getLast().loss()).isLessThan(looks.getFirst().loss());
    try (GgufFile file = GgufFile.open(folder.resolve("more.gguf"))) {
      assertThat(file.metadata().has("tokenizer.chat_template")).isFalse();
    }
  }

  @Test
  void aTemplateIsUsedAndTravelsWithTheModel() throws IOException {
    run(Stage.PRETRAIN, config(Stage.PRETRAIN, "base"), false);
    Path template = folder.resolve("chat.jinja");
    Files.writeString(
        template,
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}"
            + "{% if add_generation_prompt %}[assistant]{% endif %}");
    Map<String, Object> config = config(Stage.SFT, "a");
    config.put("data", with(config.get("data"), "template", template.toString()));
    run(Stage.SFT, config, false);
    try (GgufFile file = GgufFile.open(folder.resolve("a.gguf"))) {
      assertThat(file.metadata().string("tokenizer.chat_template"))
          .contains(Files.readString(template));
    }
    // The next stage finds it in the model.
    Map<String, Object> next = config(Stage.SFT, "b");
    next.put("base", folder.resolve("a.gguf").toString());
    run(Stage.SFT, next, false);
    try (GgufFile file = GgufFile.open(folder.resolve("b.gguf"))) {
      assertThat(file.metadata().string("tokenizer.chat_template"))
          .contains(Files.readString(template));
    }
    Map<String, Object> missing = config(Stage.SFT, "c");
    missing.put("data", with(missing.get("data"), "template", "none.jinja"));
    assertThatThrownBy(() -> run(Stage.SFT, missing, false))
        .hasMessage("test.yaml: data.template: none.jinja: none.jinja is missing");
    Path latin = Files.write(folder.resolve("latin.jinja"), new byte[] {'a', (byte) 0xe9});
    missing.put("data", with(missing.get("data"), "template", latin.toString()));
    assertThatThrownBy(() -> run(Stage.SFT, missing, false))
        .hasMessage("test.yaml: data.template: " + latin + ": not UTF-8");
  }

  @Test
  void aBaseWithoutTokensForTurnsLearnsAPlainForm() throws IOException {
    String end = "<|endoftext|>";
    var control = new ControlTokens(List.of(end), Optional.of(end), Optional.of(end), true);
    pretrain(control);
    Map<String, Object> config = config(Stage.SFT, "a");
    config.put("batch", with(config.get("batch"), "tokens", 48));
    List<TrainEvent> events = run(Stage.SFT, config, false);
    assertThat(all(events, TrainEvent.Warned.class))
        .extracting(TrainEvent.Warned::message)
        .contains(
            folder.resolve("base.gguf")
                + " has no chat template and no tokens of ChatML: it learns to chat with \"User:\""
                + " and \"Assistant:\" on lines of their own; data.template gives another form");
    try (Model model = Model.open(folder.resolve("a.gguf"))) {
      ChatTemplate chat = ChatTemplate.of(model.metadata(), model.tokenizer()).orElseThrow();
      List<Message> said =
          List.of(
              Message.of("user", "Say 1"),
              Message.of("assistant", "The dog"),
              Message.of("user", "Say 2"));
      assertThat(chat.render(said, List.of(), true, Clock.systemUTC()))
          .isEqualTo(
              "User:\nSay 1\nAssistant:\nThe dog<|endoftext|>\nUser:\nSay 2\nAssistant:\n");
    }
    // What it learned ends with the token that ends an answer.
    TrainConfig sft = TrainConfig.of(Stage.SFT, config, "test.yaml");
    try (var base = new Base(sft, _ -> {});
        var data = new TrainingData(sft, base.tokenizer(), base.chat(), _ -> {})) {
      Example example = data.training().step(0).getFirst().getFirst();
      int[] learned = example.targets().stream().map(i -> example.tokens()[i]).toArray();
      assertThat(base.tokenizer().decodeWithSpecial(learned)).matches("The \\w{3}<.endoftext.>");
    }
  }

  @Test
  void aBaseWithoutAnyEndNeedsATemplate() throws IOException {
    pretrain(new ControlTokens(List.of(), Optional.empty(), Optional.empty(), false));
    assertThatThrownBy(() -> run(Stage.SFT, config(Stage.SFT, "a"), false))
        .isInstanceOf(ConfigException.class)
        .hasMessage(
            "test.yaml: data.template: missing: " + folder.resolve("base.gguf")
                + " has no chat template and no tokens of ChatML, nor one that ends a text");
  }

  private void pretrain(ControlTokens control) throws IOException {
    Path tokens = folder.resolve("tokens.gguf");
    new BpeTrainer(256 + control.names().size(), control, "gpt-2").train().save(tokens);
    Map<String, Object> config = config(Stage.PRETRAIN, "base");
    config.put("tokenizer", tokens.toString());
    config.put("steps", 1);
    run(Stage.PRETRAIN, config, false);
  }

  @Test
  void outputsThatCannotBeAreSaidAtOnce() {
    Map<String, Object> config = config(Stage.PRETRAIN, "a");
    config.put("output", folder.toString());
    assertThatThrownBy(() -> run(Stage.PRETRAIN, config, false))
        .isInstanceOf(TrainException.class)
        .hasMessage("output: " + folder + ": a folder, expected the name of a file");
    config.put("output", folder.resolve("text.txt").resolve("x.gguf").toString());
    assertThatThrownBy(() -> run(Stage.PRETRAIN, config, false))
        .isInstanceOf(TrainException.class)
        .hasMessageContaining("text.txt is no folder");
    config.put("output", "/");
    assertThatThrownBy(() -> run(Stage.PRETRAIN, config, false))
        .hasMessage("output: /: a folder, expected the name of a file");
    config.put("output", "/proc/x.gguf");
    assertThatThrownBy(() -> run(Stage.PRETRAIN, config, false))
        .hasMessage("output: /proc/x.gguf: no file can be made in /proc");
  }

  @Test
  void theOutputIsNoneOfTheInputs() throws IOException {
    run(Stage.PRETRAIN, config(Stage.PRETRAIN, "base"), false);
    for (String name : List.of("base.gguf", "chats.jsonl")) {
      Path input = folder.resolve(name);
      byte[] before = Files.readAllBytes(input);
      Map<String, Object> config = config(Stage.SFT, "a");
      Path other = folder.resolve("a/../" + name);
      Files.createDirectories(folder.resolve("a"));
      config.put("output", other.toString());
      assertThatThrownBy(() -> run(Stage.SFT, config, false))
          .isInstanceOf(TrainException.class)
          .hasMessage("output: " + other + ": is read as well, expected another file");
      assertThat(Files.readAllBytes(input)).isEqualTo(before);
    }
  }

  @Test
  void promptsThatDoNotFitAreSaidBeforeTheFirstStep() throws IOException {
    Map<String, Object> config = config(Stage.PRETRAIN, "base");
    config.put("samples", Map.of("prompts", List.of("The", "cat ".repeat(100)), "tokens", 5));
    assertThatThrownBy(() -> run(Stage.PRETRAIN, config, false))
        .isInstanceOf(ConfigException.class)
        .hasMessageMatching(
            "test.yaml: samples.prompts: number 2 has \\d+ tokens, expected less than the model's"
                + " context, 64");
    run(Stage.PRETRAIN, config(Stage.PRETRAIN, "base"), false);
    Files.writeString(
        folder.resolve("questions.jsonl"),
        "{\"prompt\": \"%s\", \"words\": [\"a\"]}".formatted("cat ".repeat(30)));
    assertThatThrownBy(() -> run(Stage.GRPO, config(Stage.GRPO, "a"), false))
        .isInstanceOf(TrainException.class)
        .hasMessageMatching("batch.tokens: found 32, but a question has \\d+ tokens: (cat )+");
  }

  @ParameterizedTest
  @EnumSource
  void whatIsStoppedBeforeTheFirstStepLeavesNothing(Stage stage) throws IOException {
    if (stage != Stage.PRETRAIN) {
      run(Stage.PRETRAIN, config(Stage.PRETRAIN, "base"), false);
    }
    var stopped =
        new TrainListener() {
          @Override
          public void accept(TrainEvent event) {}

          @Override
          public boolean stops() {
            return true;
          }
        };
    assertThatThrownBy(() -> run(stage, config(stage, "a"), false, stopped))
        .isInstanceOf(TrainException.class)
        .hasMessage("stopped before the first step; nothing was trained");
    assertThat(folder.resolve("a")).doesNotExist();
    assertThat(folder.resolve("a.gguf")).doesNotExist();
  }

  @Test
  void theReferenceHolds() throws IOException {
    run(Stage.PRETRAIN, config(Stage.PRETRAIN, "base"), false);
    Map<String, Object> config = config(Stage.GRPO, "held");
    config.put("grpo", with(with(config.get("grpo"), "kl", 0.5), "updates", 2));
    List<TrainEvent.Step> steps =
        all(run(Stage.GRPO, config, false), TrainEvent.Step.class);
    // At first the model is its reference, and ratios are 1: what is left is -mean advantage.
    assertThat(steps.getFirst().measures()).containsKeys("reward", "answer_tokens");
    assertThat(steps).allMatch(step -> Double.isFinite(step.loss()));
  }

  private Map<String, Object> config(Stage stage, String name) {
    Map<String, Object> config = new HashMap<>();
    Map<String, Object> data = new HashMap<>();
    switch (stage) {
      case PRETRAIN -> {
        config.put(
            "model",
            Map.of("layers", 1, "dim", 16, "heads", 2, "kv_heads", 1, "hidden", 32,
                "context", 64));
        config.put("tokenizer", Map.of("train", "bpe", "vocab", 280));
        data.put("train", List.of(folder.resolve("text.txt").toString()));
      }
      case SFT -> data.put("train", List.of(folder.resolve("chats.jsonl").toString()));
      case DPO -> data.put("train", List.of(folder.resolve("pairs.jsonl").toString()));
      case GRPO -> {
        data.put("train", List.of(folder.resolve("questions.jsonl").toString()));
        config.put(
            "grpo", Map.of("task", "verify", "group", 2, "tokens", 6, "temperature", 0.9));
      }
    }
    if (stage != Stage.PRETRAIN) {
      config.put("base", folder.resolve("base.gguf").toString());
    }
    data.put("valid", 0.1);
    config.put("data", data);
    config.put("steps", 6);
    config.put("batch", Map.of("sequences", 4, "tokens", 32, "accumulate", 2));
    config.put("optimizer", Map.of("lr", 0.01, "warmup", 2));
    config.put(
        "checkpoint",
        Map.of("dir", folder.resolve(name).toString(), "every", 4, "keep", 2));
    config.put("samples", Map.of("prompts", List.of("The"), "tokens", 5));
    config.put("output", folder.resolve(name + ".gguf").toString());
    config.put("seed", 7);
    return config;
  }

  private static Map<String, Object> with(Object map, String key, Object value) {
    Map<String, Object> copy = new HashMap<>();
    ((Map<?, ?>) map).forEach((k, v) -> copy.put((String) k, v));
    copy.put(key, value);
    return copy;
  }

  private static List<TrainEvent> run(Stage stage, Map<String, Object> values, boolean resume) {
    List<TrainEvent> events = new ArrayList<>();
    run(stage, values, resume, events::add);
    return events;
  }

  private static void run(
      Stage stage, Map<String, Object> values, boolean resume, TrainListener listener) {
    TrainConfig config = TrainConfig.of(stage, values, "test.yaml");
    var options =
        new Backends.Options("reference", OptionalInt.empty(), Optional.empty(), false);
    switch (stage) {
      case PRETRAIN -> Pretrain.run(config, resume, options, listener);
      case SFT -> Sft.run(config, resume, options, listener);
      case DPO -> Dpo.run(config, resume, options, listener);
      case GRPO -> Grpo.run(config, resume, options, listener);
    }
  }

  private static void delete(Path checkpoint) throws IOException {
    try (Stream<Path> files = Files.list(checkpoint)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(checkpoint);
  }

  private static <T extends TrainEvent> List<T> all(List<TrainEvent> events, Class<T> type) {
    return events.stream().filter(type::isInstance).map(type::cast).toList();
  }
}
