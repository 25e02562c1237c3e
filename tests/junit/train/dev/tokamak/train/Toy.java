// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.tokamak.backend.Backends;
import dev.tokamak.backend.CacheShape;
import dev.tokamak.backend.Operation;
import dev.tokamak.backend.Program;
import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.Value;
import dev.tokamak.backend.Value.Rows;
import dev.tokamak.backend.reference.ReferenceBackend;
import dev.tokamak.backend.train.Parameter;
import dev.tokamak.backend.train.Parameters;
import dev.tokamak.backend.train.TrainingProgram;
import dev.tokamak.backend.train.TrainingReplay;
import dev.tokamak.backend.train.TrainingReplay.State;
import dev.tokamak.backend.train.TrainingShape;
import dev.tokamak.backend.train.TrainingShape.Arithmetic;
import dev.tokamak.backend.train.Update;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;

/** A model that looks at one token only: embedding, norm, product. On the reference backend. */
final class Toy implements AutoCloseable {
  static final int VOCABULARY = 11;
  private static final int DIM = 6;

  final Parameters parameters;
  final TrainingReplay replay;
  private final Arena arena = Arena.ofShared();
  private final ReferenceBackend backend = new ReferenceBackend(Backends.Options.defaults());

  Toy(int rows) {
    parameters =
        Parameters.builder()
            .add("table", VOCABULARY, DIM, Parameter.Role.TABLE, true)
            .add("norm", 1, DIM, Parameter.Role.VECTOR, true)
            .add("head", VOCABULARY, DIM, Parameter.Role.MATRIX, true)
            .build();
    Program.Recorder recorder = Program.record();
    Value x = recorder.value("x", Rows.STEP, DIM);
    recorder.add(new Operation.Embed(tensor("table"), x));
    Value last = recorder.value("last", Rows.OUTPUTS, DIM);
    recorder.add(new Operation.Select(x, last));
    Value normed = recorder.value("normed", Rows.OUTPUTS, DIM);
    recorder.add(new Operation.Norm(last, tensor("norm"), 1e-5f, normed));
    Value logits = recorder.value("logits", Rows.OUTPUTS, VOCABULARY);
    recorder.add(new Operation.MatMul(normed, tensor("head"), Optional.empty(), logits));
    TrainingProgram program =
        TrainingProgram.of(
            recorder.end(new CacheShape(QuantType.F32, 1, 1, 2)), parameters, Map.of(), false);
    replay = backend.prepare(program, new TrainingShape(rows, rows, Arithmetic.F32));
    SplittableRandom random = new SplittableRandom(5);
    MemorySegment weights = arena.allocate(JAVA_FLOAT, parameters.size());
    for (Parameter p : parameters.list()) {
      for (long i = 0; i < p.size(); i++) {
        weights.setAtIndex(JAVA_FLOAT, p.offset() + i, (float) random.nextGaussian());
      }
    }
    replay.write(State.WEIGHTS, 0, weights);
  }

  private Tensor tensor(String name) {
    Parameter p = parameters.get(name);
    return new Tensor(
        name, QuantType.F32, p.rows(), p.cols(), arena.allocate(JAVA_FLOAT, p.size()));
  }

  float[] state(State state) {
    long size = state == State.WEIGHTS ? parameters.size() : parameters.trainableSize();
    MemorySegment copy = arena.allocate(JAVA_FLOAT, size);
    replay.read(state, 0, copy);
    return copy.toArray(JAVA_FLOAT);
  }

  /** Two parts of three random sequences of five tokens each. */
  static List<List<Example>> examples(long step) {
    SplittableRandom random = new SplittableRandom(step);
    List<List<Example>> parts = new ArrayList<>();
    for (int part = 0; part < 2; part++) {
      List<Example> examples = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        examples.add(
            Example.of(step * 6 + part * 3 + i, random.ints(5, 0, VOCABULARY).toArray()));
      }
      parts.add(examples);
    }
    return parts;
  }

  static TrainConfig.Optimization optimization() {
    return new TrainConfig.Optimization(
        Update.Optimizer.ADAMW, 0.05, 2, TrainConfig.Schedule.COSINE, 0, 0.1, 0.1, 1, 0.9, 0.95,
        1e-8);
  }

  @Override
  public void close() {
    replay.close();
    backend.close();
    arena.close();
  }
}
