// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Backends;
import dev.tokamak.backend.NotFiniteException;
import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.backend.reference.ReferenceBackend;
import dev.tokamak.backend.train.Parameter.Role;
import dev.tokamak.backend.train.TrainingReplay.State;
import dev.tokamak.backend.train.TrainingShape.Arithmetic;
import dev.tokamak.backend.train.Update.Optimizer;
import java.lang.foreign.Arena;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The optimisers' rules, and what is refused. */
class UpdateTest {
  private final Arena arena = Arena.ofConfined();
  private final ReferenceBackend backend = new ReferenceBackend(Backends.Options.defaults());
  private TrainingProgram program;
  private TrainingReplay replay;
  private float[] weights;

  @BeforeEach
  void prepare() {
    program = TinyTraining.transformer(arena, Pairing.INTERLEAVED, 4, 2, false).training(false);
    replay = backend.prepare(program, TinyTraining.shape(Arithmetic.F32));
    weights = TinyTraining.weights(program.parameters(), new Random(1));
    TinyTraining.write(replay, State.WEIGHTS, weights);
  }

  @AfterEach
  void close() {
    replay.close();
    backend.close();
    arena.close();
  }

  private float[] state(State state) {
    return TinyTraining.read(replay, state, program.parameters().trainableSize());
  }

  /** Gradients of one size everywhere but in the padding. */
  private float[] gradients(float size) {
    float[] gradients = new float[(int) program.parameters().trainableSize()];
    for (Parameter p : program.parameters().trainable()) {
      for (int i = 0; i < p.size(); i++) {
        gradients[(int) p.offset() + i] = size;
      }
    }
    return gradients;
  }

  private static Update update(Optimizer optimizer, double clip) {
    return new Update(optimizer, 1, 0.01, 0.5, clip, 0.9, 0.99, 1e-8);
  }

  /** In the first step the corrected moments are g and g²: each weight moves by the rate. */
  @Test
  void adamwsFirstStepIsTheRateAndTheDecay() {
    TinyTraining.write(replay, State.GRADIENTS, gradients(-3));
    replay.update(update(Optimizer.ADAMW, 0));
    float[] after = state(State.WEIGHTS);
    for (Parameter p : program.parameters().trainable()) {
      int at = (int) p.offset();
      double kept = p.role() == Role.VECTOR ? 1 : 1 - 0.01 * 0.5;
      assertThat((double) after[at])
          .as(p.name())
          .isCloseTo(weights[at] * kept + 0.01, within(1e-6));
    }
    assertThat(state(State.GRADIENTS)).containsOnly(0);
  }

  @Test
  void aLargeNormIsClippedAndReportedAsItWas() {
    float[] gradients = gradients(2);
    TinyTraining.write(replay, State.GRADIENTS, gradients);
    double norm = replay.update(update(Optimizer.ADAMW, 1));
    long count = program.parameters().trainable().stream().mapToLong(Parameter::size).sum();
    assertThat(norm).isCloseTo(2 * Math.sqrt(count), within(1e-6 * norm));
    assertThat((double) state(State.FIRST_MOMENT)[0])
        .isCloseTo(0.1 * 2 / norm, within(1e-8));
  }

  /** Newton and Schulz bring every singular value near one: between 0.7 and 1.2, as is known. */
  @Test
  void muonsStepIsNearlyOrthogonal() {
    float[] gradients = new float[(int) program.parameters().trainableSize()];
    Random random = new Random(2);
    Parameter tall = program.parameters().get("blk.0.q");
    assertThat(tall.rows()).isGreaterThan(tall.cols());
    for (int i = 0; i < tall.size(); i++) {
      gradients[(int) tall.offset() + i] = (float) random.nextGaussian();
    }
    TinyTraining.write(replay, State.GRADIENTS, gradients);
    replay.update(update(Optimizer.MUON, 0));
    float[] after = state(State.WEIGHTS);
    double rate = 0.01 * 0.2 * Math.sqrt(tall.rows());
    double[] direction = new Random(3).doubles(tall.cols(), -1, 1).toArray();
    double in = 0;
    double out = 0;
    for (int r = 0; r < tall.rows(); r++) {
      double sum = 0;
      for (int c = 0; c < tall.cols(); c++) {
        int i = (int) tall.offset() + r * tall.cols() + c;
        sum += (weights[i] * (1 - 0.01 * 0.5) - after[i]) / rate * direction[c];
      }
      out += sum * sum;
    }
    for (double value : direction) {
      in += value * value;
    }
    assertThat(Math.sqrt(out / in)).isBetween(0.6, 1.25);
  }

  @Test
  void gradientsThatAreNotFiniteChangeNothing() {
    float[] gradients = gradients(1);
    gradients[7] = Float.NaN;
    TinyTraining.write(replay, State.GRADIENTS, gradients);
    assertThatThrownBy(() -> replay.update(update(Optimizer.ADAMW, 1)))
        .isInstanceOf(BackendException.class)
        .hasMessage("update: the norm of the gradients is NaN; no weight has changed");
    assertThat(state(State.WEIGHTS)).isEqualTo(weights);
    assertThat(state(State.FIRST_MOMENT)).containsOnly(0);
    assertThat(state(State.GRADIENTS)).isEqualTo(gradients);
  }

  @Test
  void valuesThatAreNotFiniteNameTheOperation() {
    Parameter down = program.parameters().get("blk.1.down");
    weights[(int) down.offset()] = Float.POSITIVE_INFINITY;
    TinyTraining.write(replay, State.WEIGHTS, weights);
    TinyTraining.fill(replay.batch(), new Random(4));
    assertThatThrownBy(replay::forward)
        .isInstanceOf(NotFiniteException.class)
        .hasMessageContaining("operation matmul blk.1.down has NaN or infinity");
  }

  @Test
  void batchesThatDoNotFitAreRefused() {
    TrainingBatch batch = replay.batch();
    assertThatThrownBy(replay::forward).hasMessageContaining("rows=0, outputs=0");
    batch.beginSequence();
    batch.add(TinyTraining.VOCABULARY);
    batch.target(0);
    assertThatThrownBy(replay::forward)
        .isInstanceOf(BackendException.class)
        .hasMessage("training batch: token=19 is not from 0 to 18");
    batch.clear();
    batch.beginSequence();
    batch.add(0);
    batch.target(-1);
    assertThatThrownBy(replay::forward).hasMessageContaining("target=-1");
    assertThatThrownBy(replay::backward).hasMessageContaining("forward pass");
  }
}
