// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.train.TrainingShape.Arithmetic;
import dev.tokamak.backend.train.Update.Optimizer;
import dev.tokamak.train.ConfigKey.Weighted;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a training does, all of it. {@link ConfigKeys} tells keys, ranges and standard values.
 *
 * @param source the configuration's name, for messages
 * @param model to be made new, if none is given to start from
 * @param base the model to start from
 * @param tokenizer of a new model
 * @param steps changes of the weights in all
 * @param arithmetic of products
 * @param recompute whether activations are computed again in the backward pass
 * @param lora adapters that are trained in place of the weights
 * @param output the file that is made
 * @param outputType of its matrices
 * @param notes what the user should know: keys that this stage does not use
 */
public record TrainConfig(
    String source,
    Stage stage,
    Optional<NewModel> model,
    Optional<Path> base,
    Optional<TokenizerOrigin> tokenizer,
    Data data,
    long steps,
    Batch batch,
    Arithmetic arithmetic,
    boolean recompute,
    Optimization optimizer,
    Optional<Lora> lora,
    Dpo dpo,
    Grpo grpo,
    Checkpoints checkpoint,
    Evaluation evaluate,
    Samples samples,
    Path output,
    QuantType outputType,
    long seed,
    List<String> notes) {
  public TrainConfig {
    notes = List.copyOf(notes);
  }

  /**
   * A model with random weights; its vocabulary is the tokenizer's.
   *
   * @param family as in the file's metadata
   * @param hidden width of the gated feed-forward network
   * @param context tokens
   */
  public record NewModel(
      String family,
      int layers,
      int dim,
      int heads,
      int kvHeads,
      int headDim,
      int hidden,
      int context,
      double ropeBase,
      double epsilon,
      boolean tied) {}

  /** Where a new model's tokenizer comes from. */
  public sealed interface TokenizerOrigin {
    /** A tokenizer.json, a GGUF file or a SentencePiece model. */
    record OfFile(Path path) implements TokenizerOrigin {}

    /**
     * Trained on the training data.
     *
     * @param vocabulary tokens in all
     * @param special further control tokens
     * @param split how BPE's text is split into words
     */
    record Trained(Algorithm algorithm, int vocabulary, List<String> special, String split)
        implements TokenizerOrigin {}
  }

  /** How a tokenizer is trained. */
  public enum Algorithm {
    BPE,
    UNIGRAM
  }

  /**
   * What is learned from.
   *
   * @param valid held-out files; if there are none, a part of {@code train} is held out
   * @param heldOut that part, 0 to 0.5
   * @param template a chat template's file, in place of the model's
   */
  public record Data(
      List<Weighted> train, List<Path> valid, double heldOut, Optional<Path> template) {}

  /**
   * A step is {@code accumulate} batches.
   *
   * @param sequences of a batch: windows of text, conversations, pairs or answers
   * @param tokens of a sequence that are learned from, at most: its rows
   */
  public record Batch(int sequences, int tokens, int accumulate) {}

  /** How the learning rate falls. */
  public enum Schedule {
    COSINE,
    WSD
  }

  /**
   * How weights change.
   *
   * @param lr the highest learning rate
   * @param warmup steps in which it rises to that
   * @param decay WSD: part of the steps in which it falls, at the end
   * @param end the last step's rate as a part of {@code lr}
   * @param clip largest norm of the gradients; 0: any
   */
  public record Optimization(
      Optimizer name,
      double lr,
      long warmup,
      Schedule schedule,
      double decay,
      double end,
      double weightDecay,
      double clip,
      double beta1,
      double beta2,
      double epsilon) {}

  /**
   * Adapters (Hu et al. 2021).
   *
   * @param targets products that have one, named as in GGUF: {@code attn_q}
   */
  public record Lora(int rank, double alpha, List<String> targets) {}

  /**
   * Direct preference optimisation (Rafailov et al. 2023).
   *
   * @param nll weight of the chosen answer's cross-entropy
   */
  public record Dpo(double beta, double nll) {}

  /** What GRPO rewards. */
  public enum Task {
    ARITHMETIC,
    PATTERN,
    VERIFY
  }

  /**
   * Group relative policy optimisation (Shao et al. 2024).
   *
   * @param group answers to a prompt
   * @param tokens of an answer, at most
   * @param updates of the weights from each set of answers
   * @param clip how far from 1 the ratio of a token's probabilities counts
   * @param kl weight of the divergence from the base
   * @param pattern that a whole answer must match
   * @param largest number of a sum
   */
  public record Grpo(
      Task task,
      int group,
      int tokens,
      double temperature,
      int updates,
      double clip,
      double kl,
      Optional<String> pattern,
      int largest) {}

  /** Where training is saved, every so many steps, and how many of these are kept. */
  public record Checkpoints(Path dir, long every, int keep) {}

  /** When held-out data is looked at, and at how many batches of it at most. */
  public record Evaluation(long every, int batches) {}

  /** What the model is asked to write, every so many steps, and how many tokens at most. */
  public record Samples(long every, List<String> prompts, int tokens) {}

  /**
   * Checks and reads a configuration.
   *
   * @param values as YAML or JSON gives them: sections are maps
   * @param source for messages, a file as a rule
   * @throws ConfigException with one line that names the key, what was found and what was expected
   */
  public static TrainConfig of(Stage stage, Map<?, ?> values, String source) {
    return new ConfigReader(stage, new ConfigValues(source, values)).read();
  }

  /** The files that it reads, each with its key. */
  Map<Path, String> inputs() {
    Map<Path, String> inputs = new LinkedHashMap<>();
    base.ifPresent(path -> inputs.put(path, "base"));
    if (tokenizer.isPresent() && tokenizer.get() instanceof TokenizerOrigin.OfFile(Path path)) {
      inputs.put(path, "tokenizer");
    }
    if (stage != Stage.GRPO || grpo.task != Task.ARITHMETIC) {
      data.train.forEach(weighted -> inputs.put(weighted.file(), "data.train"));
      data.valid.forEach(path -> inputs.put(path, "data.valid"));
    }
    data.template.ifPresent(path -> inputs.put(path, "data.template"));
    return inputs;
  }

  /**
   * Checks that the files that it reads are there.
   *
   * @throws ConfigException with the key of one that is not
   */
  public void requireFiles() {
    inputs()
        .forEach(
            (path, key) -> {
              if (!Files.exists(path)) {
                throw new ConfigException(source, key, path + ": no such file");
              }
            });
  }

  /**
   * Checks what only the opened base tells.
   *
   * @throws ConfigException if a sequence is longer than the model's context
   */
  public void requireContext(int context) {
    if (batch.tokens > context) {
      var standard = ConfigKeys.find("batch.tokens").flatMap(ConfigKey::standard);
      boolean maybeLeftOut = standard.equals(Optional.of((long) batch.tokens));
      throw new ConfigException(
          source,
          "batch.tokens",
          "found " + batch.tokens + (maybeLeftOut ? ", as it is where it is left out" : "")
              + ", expected at most the model's context, " + context);
    }
  }
}
