// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.report;

import dev.tokamak.train.TrainEvent;
import dev.tokamak.train.TrainEvent.Sampled;
import dev.tokamak.train.TrainEvent.Step;
import dev.tokamak.train.TrainEvent.Validated;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** What has happened in a training so far, and before it was resumed. */
public final class TrainLog {
  private final List<Step> steps = new ArrayList<>();
  private final List<Validated> looks = new ArrayList<>();
  private final List<Sampled> samples = new ArrayList<>();
  private Optional<TrainEvent.Started> started = Optional.empty();

  /** Keeps what it needs of an event. */
  public void accept(TrainEvent event) {
    switch (event) {
      case TrainEvent.Started e -> started = Optional.of(e);
      case Step e -> steps.add(e);
      case Validated e -> looks.add(e);
      case Sampled e -> samples.add(e);
      case TrainEvent.Saved _, TrainEvent.Warned _, TrainEvent.Finished _ -> {}
    }
  }

  /** Ascending. */
  List<Step> steps() {
    return steps;
  }

  /** Looks at held-out data, ascending. */
  List<Validated> looks() {
    return looks;
  }

  /** In the order in which they were made. */
  List<Sampled> samples() {
    return samples;
  }

  Optional<TrainEvent.Started> started() {
    return started;
  }
}
