// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.train.Parameters;
import dev.tokamak.backend.train.TrainingBatch;
import dev.tokamak.backend.train.TrainingReplay;
import dev.tokamak.backend.train.Update;
import java.util.List;

/** The one training loop: examples, loss, gradients, update; now and then looks and checkpoints. */
final class Trainer {
  private final Parameters parameters;
  private final TrainingReplay replay;
  private final Source source;
  private final Objective objective;
  private final TrainConfig.Optimization optimization;
  private final Schedule schedule;
  private final long steps;
  private final List<Watch> watches;
  private final Checkpoints checkpoints;
  private final long saveEvery;
  private final TrainListener listener;

  /**
   * @param steps in all
   * @param watches looked at in this order
   * @param saveEvery steps from one checkpoint to the next; there is one at the end in any case
   */
  Trainer(
      Parameters parameters,
      TrainingReplay replay,
      Source source,
      Objective objective,
      TrainConfig.Optimization optimization,
      long steps,
      List<Watch> watches,
      Checkpoints checkpoints,
      long saveEvery,
      TrainListener listener) {
    this.parameters = parameters;
    this.replay = replay;
    this.source = source;
    this.objective = objective;
    this.optimization = optimization;
    this.steps = steps;
    schedule = Schedule.of(optimization, steps);
    this.watches = List.copyOf(watches);
    this.checkpoints = checkpoints;
    this.saveEvery = saveEvery;
    this.listener = listener;
  }

  /**
   * Runs the steps that are left.
   *
   * @param done steps that were done before
   * @throws TrainException if a loss or a gradient is not finite, a checkpoint cannot be written,
   *     or the listener stops it
   */
  void run(long done) {
    if (done == 0) {
      look(0);
    }
    for (long step = done; step < steps; step++) {
      listener.accept(step(step));
      look(step + 1);
      boolean last = step + 1 == steps;
      boolean stops = !last && listener.stops();
      if (stops || last || (step + 1) % saveEvery == 0) {
        listener.accept(
            new TrainEvent.Saved(step + 1, checkpoints.save(step + 1, parameters, replay)));
      }
      if (stops) {
        throw new TrainException(
            "stopped behind step " + (step + 1) + " of " + steps + "; --resume goes on from there");
      }
    }
  }

  private void look(long step) {
    for (Watch watch : watches) {
      if (watch.due(step, steps)) {
        watch.look().apply(step).forEach(listener);
      }
    }
  }

  private TrainEvent.Step step(long step) {
    long begin = System.nanoTime();
    List<List<Example>> parts = source.step(step);
    double total = parts.stream().mapToDouble(objective::size).sum();
    if (!(total > 0)) {
      throw new TrainException(place(step) + "no example has a token to learn");
    }
    double loss;
    double norm;
    try {
      loss = gradients(parts, total);
      norm = replay.update(update(step, 0));
      for (int pass = 1; pass < objective.passes(); pass++) {
        gradients(parts, total);
        replay.update(update(step, pass));
      }
    } catch (BackendException e) {
      throw new TrainException(place(step) + e.getMessage() + standing(), e);
    }
    return new TrainEvent.Step(
        step + 1,
        loss,
        schedule.rate(step),
        norm,
        objective.passes() * parts.stream().flatMap(List::stream).mapToLong(Example::rows).sum(),
        (System.nanoTime() - begin) / 1e9,
        objective.takeMeasures());
  }

  /** Adds up the gradients of all parts; their loss. */
  private double gradients(List<List<Example>> parts, double total) {
    double loss = 0;
    for (List<Example> part : parts) {
      loss += objective.loss(part, forward(replay, part), total);
      if (!Double.isFinite(loss)) {
        throw new BackendException(
            "the loss is " + loss + "; the learning rate may be too high");
      }
      replay.backward();
    }
    return loss;
  }

  private Update update(long step, int pass) {
    return new Update(
        optimization.name(),
        step * objective.passes() + pass + 1,
        schedule.rate(step),
        optimization.weightDecay(),
        optimization.clip(),
        optimization.beta1(),
        optimization.beta2(),
        optimization.epsilon());
  }

  private static String place(long step) {
    return "step " + (step + 1) + ": ";
  }

  private String standing() {
    return checkpoints.steps().stream()
        .findFirst()
        .map(step -> "; " + checkpoints.path(step) + " stands")
        .orElse("");
  }

  /** Runs the forward pass over some examples. */
  static TrainingBatch forward(TrainingReplay replay, List<Example> part) {
    TrainingBatch batch = replay.batch();
    batch.clear();
    part.forEach(example -> example.addTo(batch));
    replay.forward();
    return batch;
  }
}
