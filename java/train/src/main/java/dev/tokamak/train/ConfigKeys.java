// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import dev.tokamak.train.ConfigKey.Decimal;
import dev.tokamak.train.ConfigKey.Either;
import dev.tokamak.train.ConfigKey.File;
import dev.tokamak.train.ConfigKey.Files;
import dev.tokamak.train.ConfigKey.Flag;
import dev.tokamak.train.ConfigKey.Kind;
import dev.tokamak.train.ConfigKey.Text;
import dev.tokamak.train.ConfigKey.Texts;
import dev.tokamak.train.ConfigKey.Whole;
import dev.tokamak.train.ConfigKey.Word;
import dev.tokamak.train.ConfigKey.Words;
import java.util.List;
import java.util.Optional;

/** All keys of a training configuration, with what they may be and their standard values. */
public final class ConfigKeys {
  private static final int MANY = 1 << 20;
  private static final List<String> PRODUCTS =
      List.of(
          "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down");

  private static final List<ConfigKey> ALL =
      List.of(
          // a new model
          key("model.family", new Word(List.of("llama", "qwen2", "qwen3")), "llama",
              "pretrain: makes a new model; qwen2 has biases at q, k and v, qwen3 norms them"),
          open("model.layers", whole(1, 1024), "required", "transformer blocks"),
          open("model.dim", whole(2, MANY), "required", "width of the residual stream"),
          open("model.heads", whole(1, MANY), "required", "query heads"),
          open("model.kv_heads", whole(1, MANY), "heads", "key and value heads; divides heads"),
          open("model.head_dim", whole(2, MANY), "dim / heads", "values of a head; even"),
          open("model.hidden", whole(1, MANY), "8/3 dim, up to a multiple of 32",
              "width of the feed-forward network"),
          open("model.context", whole(2, 1 << 24), "required", "tokens that it can see at once"),
          key("model.rope_base", new Decimal(1, 1e12, true), 10_000.0, "of rotary frequencies"),
          key("model.epsilon", new Decimal(0, 1, true), 1e-5, "of every RMS norm"),
          key("model.tied", new Flag(), true, "whether the head is the embedding table"),
          // where to start from
          open("base", new File(), "required but for pretrain", "the model to start from, GGUF"),
          open("tokenizer", new File(), "required for a new model",
              "tokenizer.json, GGUF or SentencePiece .model; or what follows"),
          open("tokenizer.train", new Word(List.of("bpe", "unigram")), "",
              "trains one on data.train: byte-level BPE, or SentencePiece's Unigram"),
          key("tokenizer.vocab", whole(257, MANY), 2048L, "its tokens in all"),
          key("tokenizer.special", new Texts(), List.of(),
              "control tokens besides <|endoftext|>, <|im_start|> and <|im_end|>"),
          key("tokenizer.split", new Word(List.of("gpt-2", "llama-bpe", "qwen2")), "gpt-2",
              "how text is split into words; qwen2 takes digits one by one"),
          // data
          open("data.train", new Files(true), "required, but for grpo's arithmetic",
              "files to learn from; a file of weight 0.5 is seen half as often, of 2 twice"),
          key("data.valid", new Either(new Decimal(0, 0.5, false), new Files(false)), 0.01,
              "held-out files, or the part of each file of data.train that is held out"),
          open("data.template", new File(), "that of base, or ChatML, or a plain one",
              "sft, dpo, grpo: the chat template, a Jinja file"),
          // steps
          open("steps", whole(1, ConfigKey.UNBOUNDED), "required", "changes of the weights in all"),
          key("batch.sequences", whole(1, 65_536), 8L,
              "of one forward pass: windows of text, conversations, pairs, or answers"),
          key("batch.tokens", whole(2, 1 << 24), 256L,
              "tokens of a sequence that are learned from, at most; never above model.context"),
          key("batch.accumulate", whole(1, 65_536), 1L, "forward passes of one step"),
          key("type", new Word(List.of("f32", "bf16")), "f32",
              "of products' operands; weights are f32 always"),
          key("recompute", new Flag(), false,
              "keeps fewer activations and computes them again: less memory, more time"),
          key("optimizer.name", new Word(List.of("adamw", "muon")), "adamw",
              "muon is for matrices, at the same rates; the rest is AdamW's"),
          key("optimizer.lr", new Decimal(0, 100, true), 1e-3, "the highest learning rate"),
          key("optimizer.warmup", whole(0, ConfigKey.UNBOUNDED), 0L, "steps until it is reached"),
          key("optimizer.schedule", new Word(List.of("cosine", "wsd")), "cosine",
              "how it falls: as half a cosine, or constant with a linear end"),
          key("optimizer.decay", new Decimal(0, 1, false), 0.2,
              "wsd: part of the steps that the end takes"),
          key("optimizer.end", new Decimal(0, 1, false), 0.1, "the last rate, as a part of lr"),
          key("optimizer.weight_decay", new Decimal(0, 100, false), 0.1,
              "weights of matrices shrink by lr times this in a step"),
          key("optimizer.clip", new Decimal(0, 1e9, false), 1.0,
              "largest norm of the gradients; 0: any"),
          key("optimizer.beta1", new Decimal(0, 0.99999, false), 0.9, "of AdamW's first moment"),
          key("optimizer.beta2", new Decimal(0, 0.99999, false), 0.95,
              "of AdamW's second moment"),
          key("optimizer.epsilon", new Decimal(0, 1, true), 1e-8, "of AdamW"),
          // stages
          key("lora.rank", whole(1, 4096), 8L,
              "with a base: trains adapters of this rank, and output is a LoRA file"),
          key("lora.alpha", new Decimal(0, 1e6, true), 16.0,
              "adapters count alpha / rank times"),
          key("lora.targets", new Words(new Word(PRODUCTS)), PRODUCTS, "products with adapters"),
          key("dpo.beta", new Decimal(0, 100, true), 0.1,
              "how much the model may differ from its base: small is far"),
          key("dpo.nll", new Decimal(0, 100, false), 0.0,
              "weight of the chosen answer's cross-entropy in the loss"),
          key("grpo.task", new Word(List.of("arithmetic", "pattern", "verify")), "arithmetic",
              "what is rewarded: right sums, a pattern, or the rule of each line"),
          key("grpo.group", whole(2, 4096), 8L, "answers to a prompt; divides batch.sequences"),
          key("grpo.tokens", whole(1, MANY), 32L, "of an answer, at most"),
          key("grpo.temperature", new Decimal(0, 10, true), 1.0, "of answers"),
          key("grpo.updates", whole(1, 64), 1L, "of the weights from each set of answers"),
          key("grpo.clip", new Decimal(0, 1, true), 0.2,
              "how far a token's ratio counts; of more than one update"),
          key("grpo.kl", new Decimal(0, 100, false), 0.0, "weight of the distance from base"),
          open("grpo.pattern", new Text(), "required for pattern",
              "a regular expression that a whole answer must match"),
          key("grpo.largest", whole(1, 1_000_000_000), 20L, "arithmetic: the largest number"),
          // what is kept and told
          key("checkpoint.dir", new File(), "checkpoints",
              "folder of checkpoints, token shards, metrics.jsonl and report.html"),
          key("checkpoint.every", whole(1, ConfigKey.UNBOUNDED), 50L, "steps between checkpoints"),
          key("checkpoint.keep", whole(1, 100_000), 3L, "checkpoints that are kept"),
          open("evaluate.every", whole(1, ConfigKey.UNBOUNDED), "checkpoint.every",
              "steps between looks at held-out data"),
          key("evaluate.batches", whole(1, MANY), 16L, "batches of a look, at most"),
          open("samples.every", whole(1, ConfigKey.UNBOUNDED), "checkpoint.every",
              "steps between samples"),
          key("samples.prompts", new Texts(), List.of(), "what the samples go on from"),
          key("samples.tokens", whole(1, MANY), 64L, "of a sample, at most"),
          key("output", new File(), "model.gguf", "the GGUF file that is made"),
          key("output_type", new Word(List.of("f32", "f16", "bf16", "q8_0")), "f32",
              "of its matrices"),
          key("seed", whole(Long.MIN_VALUE, Long.MAX_VALUE), 0L,
              "of weights, order and samples; the same seed, the same file"));

  private ConfigKeys() {}

  /** In the order of the reference. */
  public static List<ConfigKey> all() {
    return ALL;
  }

  static Optional<ConfigKey> find(String path) {
    return ALL.stream().filter(key -> key.path().equals(path)).findFirst();
  }

  /** The names that may stand in a section; the empty path is the whole. */
  static List<String> names(String section) {
    String prefix = section.isEmpty() ? "" : section + ".";
    return ALL.stream()
        .map(ConfigKey::path)
        .filter(path -> path.startsWith(prefix))
        .map(path -> path.substring(prefix.length()).split("\\.")[0])
        .distinct()
        .toList();
  }

  static boolean isSection(String path) {
    return ALL.stream().anyMatch(key -> key.path().startsWith(path + "."));
  }

  private static Kind whole(long least, long most) {
    return new Whole(least, most);
  }

  private static ConfigKey key(String path, Kind kind, Object standard, String about) {
    Object value =
        kind.value(standard)
            .orElseThrow(() -> new IllegalArgumentException(path + ": " + standard));
    String note = standard instanceof List<?> list && list.size() > 1 ? "all" : "";
    return new ConfigKey(path, kind, Optional.of(value), note, about);
  }

  private static ConfigKey open(String path, Kind kind, String note, String about) {
    return new ConfigKey(path, kind, Optional.empty(), note, about);
  }
}
