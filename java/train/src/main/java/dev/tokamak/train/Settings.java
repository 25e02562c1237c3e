// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import dev.tokamak.train.TrainConfig.TokenizerOrigin.OfFile;
import dev.tokamak.train.TrainConfig.TokenizerOrigin.Trained;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;

/** What a training's result depends on, by the keys of its configuration. */
final class Settings {
  private Settings() {}

  /**
   * Every key that the weights of each step follow from. Left out are those that only say where,
   * how often or in what form results are told and written.
   */
  static Map<String, String> of(TrainConfig config) {
    Map<String, String> settings = new LinkedHashMap<>();
    settings.put("stage", config.stage().word());
    config.model().ifPresent(model -> put(settings, model));
    config.base().ifPresent(path -> settings.put("base", file(path)));
    config.tokenizer().ifPresent(origin -> put(settings, origin));
    settings.put(
        "data.train",
        config.data().train().stream()
            .map(weighted -> file(weighted.file()) + " * " + weighted.weight())
            .collect(Collectors.joining(", ")));
    settings.put(
        "data.valid",
        config.data().valid().isEmpty()
            ? Double.toString(config.data().heldOut())
            : config.data().valid().stream().map(Settings::file).collect(Collectors.joining(", ")));
    config.data().template().ifPresent(path -> settings.put("data.template", file(path)));
    settings.put("steps", Long.toString(config.steps()));
    settings.put("batch.sequences", Integer.toString(config.batch().sequences()));
    settings.put("batch.tokens", Integer.toString(config.batch().tokens()));
    settings.put("batch.accumulate", Integer.toString(config.batch().accumulate()));
    settings.put("type", config.arithmetic().toString());
    put(settings, config.optimizer());
    config
        .lora()
        .ifPresent(
            lora -> {
              settings.put("lora.rank", Integer.toString(lora.rank()));
              settings.put("lora.alpha", Double.toString(lora.alpha()));
              settings.put("lora.targets", lora.targets().toString());
            });
    switch (config.stage()) {
      case PRETRAIN, SFT -> {}
      case DPO -> {
        settings.put("dpo.beta", Double.toString(config.dpo().beta()));
        settings.put("dpo.nll", Double.toString(config.dpo().nll()));
      }
      case GRPO -> put(settings, config.grpo());
    }
    settings.put("seed", Long.toString(config.seed()));
    return settings;
  }

  /** A file's name, size, and a checksum of its ends: most others differ, at no cost. */
  private static String file(Path path) {
    try {
      if (Files.isRegularFile(path)) { // to open a pipe may wait for ever
        return "%s (%d bytes, %s)"
            .formatted(path.getFileName(), Files.size(path), Sha256.ofEnds(path));
      }
    } catch (IOException _) {
      // as below
    }
    return path.toString(); // whoever opens it says what is wrong
  }

  private static void put(Map<String, String> settings, TrainConfig.TokenizerOrigin origin) {
    switch (origin) {
      case OfFile(Path path) -> settings.put("tokenizer", file(path));
      case Trained trained -> {
        settings.put("tokenizer.train", trained.algorithm().toString());
        settings.put("tokenizer.vocab", Integer.toString(trained.vocabulary()));
        settings.put("tokenizer.special", trained.special().toString());
        settings.put("tokenizer.split", trained.split());
      }
    }
  }

  private static void put(Map<String, String> settings, TrainConfig.NewModel model) {
    settings.put("model.family", model.family());
    settings.put("model.layers", Integer.toString(model.layers()));
    settings.put("model.dim", Integer.toString(model.dim()));
    settings.put("model.heads", Integer.toString(model.heads()));
    settings.put("model.kv_heads", Integer.toString(model.kvHeads()));
    settings.put("model.head_dim", Integer.toString(model.headDim()));
    settings.put("model.hidden", Integer.toString(model.hidden()));
    settings.put("model.context", Integer.toString(model.context()));
    settings.put("model.rope_base", Double.toString(model.ropeBase()));
    settings.put("model.epsilon", Double.toString(model.epsilon()));
    settings.put("model.tied", Boolean.toString(model.tied()));
  }

  private static void put(Map<String, String> settings, TrainConfig.Optimization optimizer) {
    settings.put("optimizer.name", optimizer.name().toString());
    settings.put("optimizer.lr", Double.toString(optimizer.lr()));
    settings.put("optimizer.warmup", Long.toString(optimizer.warmup()));
    settings.put("optimizer.schedule", optimizer.schedule().toString());
    settings.put("optimizer.decay", Double.toString(optimizer.decay()));
    settings.put("optimizer.end", Double.toString(optimizer.end()));
    settings.put("optimizer.weight_decay", Double.toString(optimizer.weightDecay()));
    settings.put("optimizer.clip", Double.toString(optimizer.clip()));
    settings.put("optimizer.beta1", Double.toString(optimizer.beta1()));
    settings.put("optimizer.beta2", Double.toString(optimizer.beta2()));
    settings.put("optimizer.epsilon", Double.toString(optimizer.epsilon()));
  }

  private static void put(Map<String, String> settings, TrainConfig.Grpo grpo) {
    settings.put("grpo.task", grpo.task().toString());
    settings.put("grpo.group", Integer.toString(grpo.group()));
    settings.put("grpo.tokens", Integer.toString(grpo.tokens()));
    settings.put("grpo.temperature", Double.toString(grpo.temperature()));
    settings.put("grpo.updates", Integer.toString(grpo.updates()));
    settings.put("grpo.clip", Double.toString(grpo.clip()));
    settings.put("grpo.kl", Double.toString(grpo.kl()));
    settings.put("grpo.pattern", grpo.pattern().orElse("none"));
    settings.put("grpo.largest", Integer.toString(grpo.largest()));
  }
}
