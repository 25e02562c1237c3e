// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import dev.tokamak.backend.Backends;
import dev.tokamak.backend.train.Parameter;
import dev.tokamak.backend.train.Parameters;
import dev.tokamak.backend.train.TrainingReplay;
import dev.tokamak.backend.train.TrainingShape;
import dev.tokamak.generate.Capacity;
import dev.tokamak.generate.GenerateOptions;
import dev.tokamak.generate.SamplerOptions;
import dev.tokamak.generate.Session;
import dev.tokamak.model.Model;
import dev.tokamak.model.chat.Message;
import dev.tokamak.model.ModelOptions;
import dev.tokamak.model.TrainingModel;
import dev.tokamak.model.WeightArray;
import dev.tokamak.model.format.gguf.GgufWriter;
import dev.tokamak.model.tokenizer.TokenKind;
import dev.tokamak.model.tokenizer.Tokenizer;
import dev.tokamak.train.data.ChatEncoder;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.LongFunction;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/**
 * A model in training, made ready on a backend: what all recipes share. The steps of a recipe are
 * calls of it, in their order: weights, {@link #resume}, {@link #train}, {@link #write}.
 */
public final class Workshop implements AutoCloseable {
  private final TrainConfig config;
  private final Backends.Options options;
  private final TrainListener listener;
  private final Base base;
  private final TrainingModel model;
  private final Checkpoints checkpoints;
  private final Backends.Choice choice;
  private final TrainingReplay replay;
  private final List<Watch> watches = new ArrayList<>();
  private final long began = System.nanoTime();
  private long done;

  /**
   * Takes the memory that the training needs; weights are zero.
   *
   */
  public Workshop(
      TrainConfig config,
      Backends.Options options,
      TrainListener listener,
      Base base,
      Checkpoints checkpoints) {
    this.config = config;
    this.options = options;
    this.listener = listener;
    this.base = base;
    this.checkpoints = checkpoints;
    model = base.model();
    requireOutput(config);
    // A pair is two sequences.
    int sequences = config.batch().sequences() * (config.stage() == Stage.DPO ? 2 : 1);
    int rows = Math.multiplyExact(sequences, config.batch().tokens());
    choice = Backends.open(options);
    try {
      replay =
          choice
              .backend()
              .prepare(
                  model.program(config.batch().tokens(), config.recompute()),
                  new TrainingShape(rows, rows, config.arithmetic()));
    } catch (RuntimeException | Error e) {
      choice.backend().close();
      throw e;
    }
  }

  /** Said now, and not when hours of training are done. */
  private static void requireOutput(TrainConfig config) {
    Path output = config.output();
    try {
      if (!Files.isDirectory(output)) {
        Files.createDirectories(output.toAbsolutePath().getParent());
      }
      GgufWriter.probe(output, config.inputs().keySet());
    } catch (IOException e) {
      throw new TrainException("output: " + output + ": " + Checkpoints.reason(e), e);
    }
  }

  Parameters parameters() {
    return model.parameters();
  }

  TrainingReplay replay() {
    return replay;
  }

  private WeightArray weights() {
    return WeightArray.of(replay);
  }

  /**
   * Takes the weights that training starts from.
   *
   * @throws dev.tokamak.model.format.FormatException if a tensor is not as it should be
   */
  public void load() {
    base.load(weights(), config.seed());
  }

  /** A copy of the model as it is now, to generate with. */
  Model copy() {
    var quiet = new ModelOptions(options, ModelOptions.defaults().progress());
    return Model.of(model, weights(), base.keys(), quiet);
  }

  /**
   * Goes on from the newest whole checkpoint; if there is none, with the weights as they are. An
   * earlier training that is not gone on with is moved aside, so this comes when nothing else may
   * be wrong.
   */
  public void resume() {
    listener.goOn(); // before an earlier training is moved
    done =
        checkpoints
            .resume(
                parameters(), replay, TrainEvent.warnings(listener))
            .orElse(0L);
  }

  /** From now on held-out data is looked at every so often. */
  public void validate(Objective objective, Source heldOut, long batches) {
    long count = looked(batches);
    if (count == 0) {
      return;
    }
    List<List<Example>> parts =
        LongStream.range(0, count).mapToObj(heldOut::step).flatMap(List::stream).toList();
    long bytes = objective instanceof CrossEntropy ? bytes(parts) : 0;
    watch(
        config.evaluate().every(),
        step -> List.of(Validation.look(step, replay, objective, parts, bytes)));
  }

  private long looked(long batches) {
    return Math.min(batches, config.evaluate().batches());
  }

  /** Bytes of text that the targets spell; control tokens, as the end of a turn, spell none. */
  private long bytes(List<List<Example>> parts) {
    long bytes = 0;
    for (List<Example> part : parts) {
      for (Example example : part) {
        bytes +=
            example.targets().stream()
                .map(position -> example.tokens()[position])
                .filter(this::isText)
                .mapToLong(token -> base.tokenizer().bytes(token).length)
                .sum();
      }
    }
    return bytes;
  }

  private boolean isText(int token) {
    Tokenizer tokenizer = base.tokenizer();
    return token < tokenizer.vocabularySize() && tokenizer.kind(token) != TokenKind.CONTROL;
  }

  /**
   * From now on the model writes a sample of each prompt every so often, with the same random
   * numbers each time.
   *
   * @throws ConfigException if a prompt leaves no room for an answer
   */
  public void sample(List<Prompt> prompts) {
    int context = model.architecture().context();
    for (int i = 0; i < prompts.size(); i++) {
      int tokens = prompts.get(i).tokens().length;
      if (tokens >= context) {
        throw new ConfigException(
            config.source(),
            "samples.prompts",
            "number " + (i + 1) + " has " + tokens
                + " tokens, expected less than the model's context, " + context);
      }
    }
    if (!prompts.isEmpty()) {
      watch(config.samples().every(), step -> samples(step, prompts));
    }
  }

  /** What a sample goes on from: its text as it is shown, and its tokens. */
  public record Prompt(String text, int[] tokens) {}

  /** The configuration's prompts as texts to go on with. */
  public List<Prompt> beginnings() {
    return config.samples().prompts().stream()
        .map(text -> new Prompt(text, base.tokenizer().encode(text, true, false)))
        .toList();
  }

  /** The configuration's prompts as a user's questions. */
  public List<Prompt> questions() {
    return config.samples().prompts().stream()
        .map(text -> new Prompt(text, prompt(List.of(Message.of("user", text)))))
        .toList();
  }

  /** The tokens before the answer to a conversation. */
  int[] prompt(List<Message> messages) {
    return ChatEncoder.prompt(base.tokenizer(), base.chat(), messages);
  }

  private List<TrainEvent> samples(long step, List<Prompt> prompts) {
    List<TrainEvent> samples = new ArrayList<>();
    var options =
        GenerateOptions.of(SamplerOptions.defaults().withSeed(config.seed()))
            .withMaxTokens(config.samples().tokens());
    try (Model copy = copy();
        var session = new Session(copy, Capacity.of(copy))) {
      for (Prompt prompt : prompts) {
        session.truncate(0);
        String text = session.generate(prompt.tokens(), options, _ -> {}).text();
        samples.add(new TrainEvent.Sampled(step, prompt.text(), text));
      }
    }
    return samples;
  }

  void watch(long every, LongFunction<List<TrainEvent>> look) {
    watches.add(new Watch(every, look));
  }

  /**
   * What the weights, as they are now, say of the examples of a training: of all its steps, and of
   * held-out ones. It is asked for before {@link #resume}.
   */
  public Map<Long, float[]> logProbabilities(Source training, Source heldOut, long batches) {
    try (Arena arena = Arena.ofShared()) {
      var steps = LongStream.range(0, config.steps()).mapToObj(training::step);
      var looks = LongStream.range(0, looked(batches)).mapToObj(heldOut::step);
      return new Reference(parameters(), replay, arena)
          .logProbabilities(Stream.concat(steps, looks).flatMap(List::stream));
    }
  }

  /** Runs the steps that are left. */
  public void train(Source source, Objective objective) {
    listener.accept(
        new TrainEvent.Started(
            config.stage().word(),
            choice.backend().name() + " (" + choice.reason() + ")",
            values(parameters().list()),
            values(parameters().trainable()),
            flopsPerToken(),
            replay.bytes(),
            done,
            config.steps()));
    new Trainer(
            parameters(),
            replay,
            source,
            objective,
            config.optimizer(),
            config.steps(),
            watches,
            checkpoints,
            config.checkpoint().every(),
            listener)
        .run(done);
  }

  private static long values(List<Parameter> parameters) {
    return parameters.stream().mapToLong(Parameter::size).sum();
  }

  /**
   * Two operations a weight forward, two for the gradient of what it was multiplied with, two for
   * its own if it is trained. An embedding table is looked up; as the head, it is multiplied.
   */
  private double flopsPerToken() {
    double flops = 0;
    for (Parameter p : parameters().list()) {
      boolean lookedUp =
          p.name().equals("token_embd.weight") && !model.architecture().tiedEmbeddings();
      if (p.role() != Parameter.Role.VECTOR && !lookedUp) {
        flops += (p.trainable() ? 6.0 : 4.0) * p.size();
      }
    }
    return flops;
  }

  /** Writes the output: the model, or its adapters alone. */
  public void write() {
    try {
      if (model.lora().isPresent()) {
        model.writeAdapters(config.output(), weights());
      } else {
        model.write(config.output(), weights(), config.outputType(), base.keys());
      }
    } catch (IOException e) {
      throw new TrainException(
          "output: " + config.output() + ": cannot be written: " + Checkpoints.reason(e), e);
    }
    listener.accept(
        new TrainEvent.Finished(
            config.steps(), config.output(), (System.nanoTime() - began) / 1e9));
  }

  /** Frees the memory and the backend. */
  @Override
  public void close() {
    replay.close();
    choice.backend().close();
  }
}
