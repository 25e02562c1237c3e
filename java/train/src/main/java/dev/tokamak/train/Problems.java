// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import dev.tokamak.generate.verify.Verifier;
import dev.tokamak.model.chat.Message;
import dev.tokamak.train.ConfigKey.Weighted;
import dev.tokamak.train.data.Question;
import dev.tokamak.train.data.Split;
import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.LongStream;

/** Questions whose answers code can judge. The same index gives the same problem. */
public sealed interface Problems {
  /** One to learn from; there are as many as are asked for. */
  Question training(long index);

  /** Some that are never learnt from, {@code most} at most. */
  List<Question> heldOut(int most);

  /**
   * Sums of two numbers: "What is 12 + 7?". With a the larger one, a + b and b + a are held out
   * where a (a + 1) / 2 + b leaves 7 when divided by 10. With a largest number below 3 no sum is,
   * and those that are learnt from are looked at.
   *
   * @param largest number
   */
  record Sums(int largest, long seed) implements Problems {
    private static final int EVERY = 10;
    private static final int HELD_OUT = 7;
    private static final int FEWEST = 3;

    @Override
    public Question training(long index) {
      return draw(index, false);
    }

    @Override
    public List<Question> heldOut(int most) {
      return LongStream.range(0, most)
          .mapToObj(index -> draw(~index, largest >= FEWEST))
          .toList();
    }

    private Question draw(long index, boolean heldOut) {
      var random = new SplittableRandom(mix(seed, index));
      while (true) {
        long a = random.nextInt(largest + 1);
        long b = random.nextInt(largest + 1);
        if (isHeldOut(a, b) == heldOut) {
          String question = "What is " + a + " + " + b + "?";
          return new Question(
              Optional.of(question),
              List.of(Message.of("user", question)),
              new Verifier.Number(BigDecimal.valueOf(a + b)));
        }
      }
    }

    private static boolean isHeldOut(long a, long b) {
      long larger = Math.max(a, b);
      return (larger * (larger + 1) / 2 + Math.min(a, b)) % EVERY == HELD_OUT;
    }
  }

  /**
   * Questions of files, in their order, again and again.
   *
   * @param training one at least
   */
  record Listed(List<Question> training, List<Question> heldOut) implements Problems {
    public Listed {
      training = List.copyOf(training);
      heldOut = List.copyOf(heldOut);
    }

    @Override
    public Question training(long index) {
      return training.get((int) (index % training.size()));
    }

    @Override
    public List<Question> heldOut(int most) {
      return heldOut.subList(0, Math.min(most, heldOut.size()));
    }
  }

  /**
   * Those of a configuration.
   *
   * @throws dev.tokamak.model.format.FormatException if a line of a file lacks what the task needs,
   *     or a file has no question
   */
  static Problems of(TrainConfig config) {
    TrainConfig.Grpo grpo = config.grpo();
    return switch (grpo.task()) {
      case ARITHMETIC -> new Sums(grpo.largest(), config.seed());
      case PATTERN -> {
        var rule = new Verifier.Matches(Pattern.compile(grpo.pattern().orElseThrow()));
        yield listed(config, file -> Question.read(file, rule));
      }
      case VERIFY -> listed(config, Question::read);
    };
  }

  private static Problems listed(TrainConfig config, Function<Path, List<Question>> reader) {
    List<Question> training = new ArrayList<>();
    List<Question> heldOut = new ArrayList<>();
    Split split = Split.of(config.data().heldOut(), config.seed());
    for (Weighted file : config.data().train()) {
      List<Question> questions = reader.apply(file.file());
      for (int i = 0; i < questions.size(); i++) {
        (split.holds(i) ? heldOut : training).add(questions.get(i));
      }
    }
    config.data().valid().forEach(file -> heldOut.addAll(reader.apply(file)));
    return new Listed(training, heldOut);
  }

  /** A seed that follows from another and a number. */
  static long mix(long seed, long number) {
    return new SplittableRandom(seed ^ number * 0x9e3779b97f4a7c15L).nextLong();
  }
}
