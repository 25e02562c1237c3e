// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.train.TrainingShape.Arithmetic;
import dev.tokamak.backend.train.Update.Optimizer;
import dev.tokamak.train.ConfigKey.Weighted;
import dev.tokamak.train.TrainConfig.Algorithm;
import dev.tokamak.train.TrainConfig.Grpo;
import dev.tokamak.train.TrainConfig.Lora;
import dev.tokamak.train.TrainConfig.NewModel;
import dev.tokamak.train.TrainConfig.Optimization;
import dev.tokamak.train.TrainConfig.Schedule;
import dev.tokamak.train.TrainConfig.Task;
import dev.tokamak.train.TrainConfig.TokenizerOrigin;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/** Makes a {@link TrainConfig} of checked values: what keys mean to each other. */
final class ConfigReader {
  private static final int BYTES = 256;
  private static final List<String> CHAT_TOKENS =
      List.of("<|endoftext|>", "<|im_start|>", "<|im_end|>");

  private final Stage stage;
  private final ConfigValues values;
  private final List<String> notes = new ArrayList<>();

  ConfigReader(Stage stage, ConfigValues values) {
    this.stage = stage;
    this.values = values;
  }

  TrainConfig read() {
    boolean fresh = stage == Stage.PRETRAIN && values.has("model");
    if (stage == Stage.PRETRAIN && !fresh && !values.has("base")) {
      throw values.error(
          "model", "missing: expected the dimensions of a new model, or base, one to go on with");
    }
    Optional<Path> base = fresh ? Optional.empty() : Optional.of(values.file("base"));
    unused("model", !fresh, "base brings its own");
    unused("tokenizer", !fresh, "base brings its own");
    unused("base", fresh, "model makes a new one");
    unused("lora", fresh, "a new model is trained whole");
    unused("dpo", stage != Stage.DPO, "it is of dpo");
    unused("grpo", stage != Stage.GRPO, "it is of grpo");
    Grpo grpo = grpo();
    var batch = batch(fresh);
    return new TrainConfig(
        values.source(),
        stage,
        fresh ? Optional.of(model(batch.tokens())) : Optional.empty(),
        base,
        fresh ? Optional.of(tokenizer()) : Optional.empty(),
        data(stage != Stage.GRPO || grpo.task() != Task.ARITHMETIC),
        values.wholeLong("steps"),
        batch,
        values.word("type", Arithmetic.class),
        values.flag("recompute"),
        optimization(),
        !fresh && values.has("lora")
            ? Optional.of(
                new Lora(
                    values.whole("lora.rank"),
                    values.decimal("lora.alpha"),
                    values.texts("lora.targets")))
            : Optional.empty(),
        new TrainConfig.Dpo(values.decimal("dpo.beta"), values.decimal("dpo.nll")),
        grpo,
        new TrainConfig.Checkpoints(
            values.file("checkpoint.dir"),
            values.wholeLong("checkpoint.every"),
            values.whole("checkpoint.keep")),
        new TrainConfig.Evaluation(every("evaluate.every"), values.whole("evaluate.batches")),
        new TrainConfig.Samples(
            every("samples.every"),
            values.texts("samples.prompts"),
            values.whole("samples.tokens")),
        values.file("output"),
        values.word("output_type", QuantType.class),
        values.wholeLong("seed"),
        notes);
  }

  private void unused(String section, boolean unused, String why) {
    if (unused && values.has(section)) {
      notes.add(section + " is not used by " + stage.word() + ": " + why);
    }
  }

  private long every(String path) {
    return values.optionalLong(path).orElseGet(() -> values.wholeLong("checkpoint.every"));
  }

  private NewModel model(int tokens) {
    int dim = values.whole("model.dim");
    int heads = values.whole("model.heads");
    int kvHeads = values.optionalLong("model.kv_heads").map(Math::toIntExact).orElse(heads);
    Optional<Long> headDim = values.optionalLong("model.head_dim");
    if (headDim.isEmpty() && dim % heads != 0) {
      throw values.wrong(
          "model.heads", heads, "a divisor of dim, " + dim + ", where head_dim is not given");
    }
    if (heads % kvHeads != 0) {
      throw values.wrong("model.kv_heads", kvHeads, "a divisor of heads, " + heads);
    }
    int width = headDim.map(Math::toIntExact).orElse(dim / heads);
    if (width % 2 != 0) {
      throw headDim.isPresent()
          ? values.wrong("model.head_dim", width, "an even number: values turn in pairs")
          : values.wrong(
              "model.heads",
              heads,
              "heads of an even number of values, not of " + dim + " / " + heads + " = "
                  + width);
    }
    int context = values.whole("model.context");
    if (context < tokens) {
      throw values.wrong("model.context", context, "at least batch.tokens, " + tokens);
    }
    if ((long) heads * width > 1 << 20) {
      throw values.wrong("model.heads", heads, "at most 1048576 values in all heads together");
    }
    return new NewModel(
        values.text("model.family"),
        values.whole("model.layers"),
        dim,
        heads,
        kvHeads,
        width,
        values.optionalLong("model.hidden").map(Math::toIntExact).orElse(hidden(dim)),
        context,
        values.decimal("model.rope_base"),
        values.decimal("model.epsilon"),
        values.flag("model.tied"));
  }

  /** 8/3 of the width, as Llama's, in whole vectors. */
  private static int hidden(int dim) {
    return (int) ((8L * dim / 3 + 31) / 32 * 32);
  }

  private TokenizerOrigin tokenizer() {
    Optional<Path> file = values.optionalFile("tokenizer");
    if (file.isPresent()) {
      return new TokenizerOrigin.OfFile(file.get());
    }
    if (!values.has("tokenizer")) {
      throw values.error(
          "tokenizer", "missing: expected the path of one, or {train: bpe, vocab: 2048}");
    }
    List<String> special = values.texts("tokenizer.special");
    var seen = new HashSet<String>(CHAT_TOKENS);
    for (String token : special) {
      if (!seen.add(token)) {
        throw values.wrong("tokenizer.special", token, "each token once, and none of "
            + String.join(", ", CHAT_TOKENS) + ", which are there anyway");
      }
    }
    int vocabulary = values.whole("tokenizer.vocab");
    if (vocabulary < BYTES + seen.size()) {
      throw values.wrong(
          "tokenizer.vocab",
          vocabulary,
          "at least " + (BYTES + seen.size()) + ": 256 bytes and " + seen.size()
              + " control tokens");
    }
    return new TokenizerOrigin.Trained(
        values.word("tokenizer.train", Algorithm.class),
        vocabulary,
        special,
        values.text("tokenizer.split"));
  }

  private TrainConfig.Data data(boolean needed) {
    List<Weighted> train = values.files("data.train");
    if (needed && train.isEmpty()) {
      throw values.error("data.train", "missing: expected a file or a list of files");
    }
    return new TrainConfig.Data(
        train,
        values.files("data.valid").stream().map(Weighted::file).toList(),
        values.number("data.valid").orElse(0.0),
        values.optionalFile("data.template"));
  }

  private TrainConfig.Batch batch(boolean fresh) {
    int sequences = values.whole("batch.sequences");
    int tokens = values.whole("batch.tokens");
    if (fresh && !values.has("batch.tokens")) {
      tokens = Math.min(tokens, values.whole("model.context"));
    }
    long rows = (stage == Stage.DPO ? 2L : 1L) * sequences * tokens;
    if (rows > 1 << 24) {
      throw values.wrong(
          "batch.sequences",
          sequences,
          "at most 16777216 tokens in a batch; accumulate makes larger steps of small batches");
    }
    return new TrainConfig.Batch(sequences, tokens, values.whole("batch.accumulate"));
  }

  private Optimization optimization() {
    return new Optimization(
        values.word("optimizer.name", Optimizer.class),
        values.decimal("optimizer.lr"),
        values.wholeLong("optimizer.warmup"),
        values.word("optimizer.schedule", Schedule.class),
        values.decimal("optimizer.decay"),
        values.decimal("optimizer.end"),
        values.decimal("optimizer.weight_decay"),
        values.decimal("optimizer.clip"),
        values.decimal("optimizer.beta1"),
        values.decimal("optimizer.beta2"),
        values.decimal("optimizer.epsilon"));
  }

  private Grpo grpo() {
    Task task = values.word("grpo.task", Task.class);
    int group = values.whole("grpo.group");
    int tokens = values.whole("grpo.tokens");
    Optional<String> pattern = values.optionalText("grpo.pattern");
    if (pattern.isPresent()) {
      try {
        Pattern.compile(pattern.get());
      } catch (PatternSyntaxException e) {
        throw values.wrong(
            "grpo.pattern", pattern.get(), "a regular expression: " + e.getDescription());
      }
    }
    if (stage == Stage.GRPO) {
      if (task == Task.PATTERN && pattern.isEmpty()) {
        throw values.error(
            "grpo.pattern", "missing: expected a regular expression for task pattern");
      }
      int sequences = values.whole("batch.sequences");
      if (sequences % group != 0) {
        throw values.wrong("grpo.group", group, "a divisor of batch.sequences, " + sequences);
      }
      int most = values.whole("batch.tokens");
      if (tokens >= most) {
        throw values.wrong(
            "grpo.tokens", tokens, "less than batch.tokens, " + most + ": a prompt goes before");
      }
    }
    return new Grpo(
        task,
        group,
        tokens,
        values.decimal("grpo.temperature"),
        values.whole("grpo.updates"),
        values.decimal("grpo.clip"),
        values.decimal("grpo.kl"),
        pattern,
        values.whole("grpo.largest"));
  }
}
