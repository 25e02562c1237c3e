// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.tokenizer.Tokenizer;
import dev.tokamak.train.ConfigKey.Weighted;
import dev.tokamak.train.Example;
import dev.tokamak.train.Source;
import dev.tokamak.train.Stage;
import dev.tokamak.train.TrainConfig;
import dev.tokamak.train.TrainEvent;
import dev.tokamak.train.TrainListener;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * The data of a training: token shards, memory-mapped, and the order in which they are learned from.
 *
 * <ul>
 *   <li>pretrain: windows over the documents of each file; a document in a window is an example.
 *   <li>sft: a conversation is an example, of which the assistant's tokens are learned.
 *   <li>dpo: a pair is two examples, chosen and then rejected.
 * </ul>
 *
 * A sequence that is longer than {@code batch.tokens} is cut at its end, and left out if nothing to
 * learn from remains, as is a pair of the same answers. What a step learns from follows from seed and step alone.
 */
public final class TrainingData implements AutoCloseable {
  private final List<TokenShard> shards = new ArrayList<>();
  private final List<Sequences> train = new ArrayList<>();
  private final List<Sequences> valid = new ArrayList<>();
  private final Mixture trainOrder;
  private final Mixture validOrder;
  private final TrainConfig.Batch batch;

  /**
   * Opens the data that a configuration names, made into tokens where it is not yet.
   *
   * @param format of conversations; of no meaning for pretrain
   * @param listener hears what the user should know, and may end it
   * @throws FormatException with one line that names the file, and the line in it, at fault
   */
  public TrainingData(
      TrainConfig config, Tokenizer tokenizer, ChatFormat format, TrainListener listener) {
    batch = config.batch();
    var maker =
        new ShardMaker(
            config.checkpoint().dir().resolve("data"),
            config.stage(),
            tokenizer,
            format,
            batch.tokens(),
            listener);
    var opened = new Opening(config, maker, TrainEvent.warnings(listener));
    try {
      opened.run();
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
    trainOrder = new Mixture(opened.parts, config.seed());
    validOrder =
        new Mixture(
            valid.stream().map(part -> new Mixture.Part(part.items(), 1)).toList(), config.seed());
  }

  /** Opens the shards, one file behind the other. */
  private final class Opening {
    private final TrainConfig config;
    private final ShardMaker maker;
    private final Consumer<String> notes;
    private final List<Mixture.Part> parts = new ArrayList<>();

    Opening(TrainConfig config, ShardMaker maker, Consumer<String> notes) {
      this.config = config;
      this.maker = maker;
      this.notes = notes;
    }

    void run() {
      TrainConfig.Data data = config.data();
      Split heldOut = Split.of(data.heldOut(), config.seed());
      for (Weighted file : data.train()) {
        ShardMaker.Pair pair = maker.shards(file.file(), heldOut);
        addValid(pair.heldOut(), file.file());
        Sequences kept = add(pair.kept(), file.file(), train, true);
        parts.add(new Mixture.Part(kept.items(), file.weight()));
      }
      for (Path file : data.valid()) {
        ShardMaker.Pair pair = maker.shards(file, Split.NOTHING);
        shards.add(pair.heldOut());
        add(pair.kept(), file, valid, false);
      }
      if (valid.isEmpty() && data.heldOut() > 0) {
        notes.accept(
            "nothing is held out: no file of data.train has " + heldOut.every()
                + " documents; data.valid may name other files or a larger part");
      }
    }

    private void addValid(TokenShard shard, Path file) {
      if (shard.sequences() == 0) {
        shards.add(shard);
      } else {
        add(shard, file, valid, false);
      }
    }

    private Sequences add(TokenShard shard, Path file, List<Sequences> to, boolean training) {
      shards.add(shard);
      if (shard.cut() > 0 || shard.leftOut() > 0) {
        notes.accept(
            file + ": cut at batch.tokens, " + batch.tokens() + ": " + shard.cut() + " of "
                + shard.sequences() + " sequences; left out: " + shard.leftOut()
                + (config.stage() == Stage.DPO
                    ? " pairs, an answer begins behind that or both are the same"
                    : ", what is to be learned begins behind that"));
      }
      int part = shards.size();
      Sequences sequences =
          switch (config.stage()) {
            case PRETRAIN -> new Sequences.Windows(shard, part, batch.tokens(), training);
            case SFT, GRPO -> new Sequences.Whole(shard, part, 1);
            case DPO -> new Sequences.Whole(shard, part, 2);
          };
      if (shard.tokens() < 2 || sequences.items() == 0) {
        throw new FormatException(
            file + ": nothing to learn from" + reason(shard));
      }
      to.add(sequences);
      return sequences;
    }

    private String reason(TokenShard shard) {
      boolean pairs = config.stage() == Stage.DPO;
      if (shard.leftOut() == 0) {
        return ": no " + (pairs ? "pairs" : "conversations");
      }
      return " in the first " + batch.tokens() + " tokens (batch.tokens) of any "
          + (pairs ? "pair, or both of its answers are the same" : "sequence");
    }
  }

  /** What is learned from. */
  public Source training() {
    return step -> {
      var parts = new ArrayList<List<Example>>();
      for (int i = 0; i < batch.accumulate(); i++) {
        long first = (step * batch.accumulate() + i) * batch.sequences();
        parts.add(examples(train, trainOrder, first, first + batch.sequences()));
      }
      return parts;
    };
  }

  /** Steps in which everything is seen once, weights apart; not a whole number. */
  public double stepsOfAnEpoch() {
    return (double) trainOrder.size() / ((long) batch.sequences() * batch.accumulate());
  }

  /** Held-out data, a batch a step, for as many steps as {@link #validationBatches} says. */
  public Source validation() {
    return step -> {
      long first = step * batch.sequences();
      long end = Math.min(validOrder.size(), first + batch.sequences());
      return List.of(examples(valid, validOrder, first, end));
    };
  }

  /** Batches of held-out data; 0: there is none. */
  public long validationBatches() {
    return (validOrder.size() + batch.sequences() - 1) / batch.sequences();
  }

  /** Tokens that are learned from or predicted from, of all files once. */
  public long tokens() {
    return train.stream()
        .mapToLong(
            part ->
                switch (part) {
                  case Sequences.Windows windows -> windows.shard().tokens();
                  case Sequences.Whole whole -> whole.shard().tokens();
                })
        .sum();
  }

  private static List<Example> examples(
      List<Sequences> parts, Mixture order, long first, long end) {
    var examples = new ArrayList<Example>();
    for (long position = first; position < end; position++) {
      Mixture.Draw draw = order.at(position);
      examples.addAll(
          parts.get(draw.part()).examples(draw.item(), order.key(draw.part(), draw.epoch())));
    }
    return examples;
  }

  @Override
  public void close() {
    shards.forEach(TokenShard::close);
  }
}
