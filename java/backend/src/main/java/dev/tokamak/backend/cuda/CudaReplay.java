// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Batch;
import dev.tokamak.backend.Limits;
import dev.tokamak.backend.NotFiniteException;
import dev.tokamak.backend.Operation;
import dev.tokamak.backend.Program;
import dev.tokamak.backend.Replay;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.TokenSampler;
import dev.tokamak.backend.Value.Rows;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A program as graphs, one launch a step: the batch's copy to the device, the kernels, and the copy
 * back of the logits or of the tokens chosen from them. A graph serves all steps of up to so many
 * rows and outputs that bring back the same; it is captured when the first such step comes.
 */
final class CudaReplay implements Replay {
  /** What the flag holds while all is finite. */
  private static final int FINITE = Integer.MAX_VALUE;

  /** A captured graph, with what its launches read. */
  private record Captured(CudaDriver.Graph graph, CudaStep step) {}

  private final CudaDevice device;
  private final Program program;
  private final List<Launch> launches;
  private final CudaWeights weights;
  private final Limits limits;
  private final int vocabulary;
  private final int positions;
  private final Captured[][][] graphs; // by rows, outputs, and what comes back
  private Optional<CudaSampler> sampler = Optional.empty();
  private StepMemory memory;
  private CudaDriver.Stream stream;
  private Batch batch;
  private MemorySegment flag;
  private MemorySegment logits;

  /**
   * @param launches of the program, fused or not
   */
  CudaReplay(
      CudaDevice device, Program program, List<Launch> launches, CudaWeights weights,
      Limits limits) {
    this.device = device;
    this.program = program;
    this.launches = launches;
    this.weights = weights;
    this.limits = limits;
    vocabulary = vocabulary(program);
    positions = positions(program);
    graphs =
        new Captured[Buckets.count(limits.rows())][1 + Buckets.count(limits.outputs())]
            [CudaSampler.WANTS];
    device.requireAlive();
    try {
      weights.upload(constants());
      memory = new StepMemory(device.driver(), program, limits);
      stream = device.driver().stream();
      batch = memory.batch();
      flag = memory.flag();
      logits = memory.logits();
    } catch (CudaException e) {
      close();
      device.failed(e);
      throw e;
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** Tokens must be below this: the rows of the smallest embedding table. */
  private static int vocabulary(Program program) {
    long least = Integer.MAX_VALUE;
    for (Operation operation : program.operations()) {
      if (operation instanceof Operation.Embed embed) {
        least = Math.min(least, embed.table().rows());
      }
    }
    return (int) least;
  }

  /** Positions must be below this: the rows of the smallest rotary table. */
  private static int positions(Program program) {
    long least = Integer.MAX_VALUE;
    for (Operation operation : program.operations()) {
      if (operation instanceof Operation.Rope rope) {
        least = Math.min(least, rope.table().rows());
      }
    }
    return (int) least;
  }

  /** What the program reads as it is in the file. */
  private List<Tensor> constants() {
    List<Tensor> constants = new ArrayList<>();
    for (Operation operation : program.operations()) {
      switch (operation) {
        case Operation.Embed op when !weights.holds(op.table()) -> constants.add(op.table());
        case Operation.Norm op -> constants.add(op.weight());
        case Operation.MatMul op -> op.bias().ifPresent(constants::add);
        default -> {}
      }
    }
    return constants;
  }

  @Override
  public Batch batch() {
    return batch;
  }

  @Override
  public void step() {
    try {
      device.requireAlive();
      checkBatch();
      flag.set(JAVA_INT, 0, FINITE);
      stream.launch(captured().graph);
      stream.synchronize();
      if (flag.get(JAVA_INT, 0) != FINITE) {
        throw new NotFiniteException(firstNotFinite());
      }
    } catch (CudaException e) {
      device.failed(e);
      throw e;
    } finally {
      if (sampler.isPresent()) {
        sampler.get().forget();
      }
    }
  }

  /** Kernels check nothing: what the batch names must exist. The batch has checked the rest. */
  private void checkBatch() {
    if (batch.rows() == 0) {
      throw new BackendException("batch: rows=0, expected 1 to " + limits.rows());
    }
    for (int row = 0; row < batch.rows(); row++) {
      int token = batch.token(row);
      if (token < 0 || token >= vocabulary) {
        throw new BackendException(
            "batch: token=" + token + " is not below the vocabulary's " + vocabulary);
      }
      if (batch.position(row) >= positions) {
        throw new BackendException(
            "batch: position=" + batch.position(row) + " is not below the rotary table's "
                + positions);
      }
    }
  }

  private Captured captured() {
    int rows = Buckets.of(batch.rows());
    int outputs = batch.outputs() == 0 ? 0 : 1 + Buckets.of(batch.outputs());
    int wanted =
        sampler.isPresent() ? sampler.get().wanted(batch.outputs()) : CudaSampler.LOGITS;
    if (graphs[rows][outputs][wanted] == null) {
      graphs[rows][outputs][wanted] = capture(rows, outputs, wanted);
    }
    return graphs[rows][outputs][wanted];
  }

  private Captured capture(int rowBucket, int outputBucket, int wanted) {
    int outputs = outputBucket == 0 ? 0 : Buckets.size(outputBucket - 1, limits.outputs());
    CudaStep step = step(Buckets.size(rowBucket, limits.rows()), outputs);
    try {
      stream.beginCapture();
      try {
        memory.uploadBatch(stream);
        for (Launch launch : launches) {
          if (outputs > 0 || launch.operations().getLast().output().rows() == Rows.STEP) {
            step.launch(launch);
          }
        }
        if (outputs > 0) {
          step.check(program.operations().getLast(), program.operations().size() - 1);
          bringBack(step, outputs, wanted);
        }
      } catch (RuntimeException | Error e) {
        stream.abandonCapture();
        throw e;
      }
      return new Captured(stream.endCapture(), step);
    } catch (RuntimeException | Error e) {
      step.close();
      throw e;
    }
  }

  private void bringBack(CudaStep step, int outputs, int wanted) {
    if ((wanted & CudaSampler.TOKENS) != 0) {
      boolean logProbabilities = (wanted & CudaSampler.LOG_PROBABILITIES) != 0;
      sampler.orElseThrow().answer(stream, step, outputs, logProbabilities);
    }
    memory.downloadLogits(stream, (wanted & CudaSampler.LOGITS) != 0 ? outputs : 0);
  }

  private CudaStep step(int rows, int outputs) {
    return new CudaStep(
        stream, program, weights, memory, limits, rows, Math.max(1, outputs));
  }

  /** Runs the step again, operation by operation, and looks at each one's output. */
  private Operation firstNotFinite() {
    List<Operation> operations = program.operations();
    flag.set(JAVA_INT, 0, FINITE);
    try (CudaStep step = step(batch.rows(), batch.outputs())) {
      memory.uploadBatch(stream);
      List<Launch> single = Launch.unfused(program);
      for (int i = 0; i < operations.size(); i++) {
        step.launch(single.get(i));
        step.check(operations.get(i), i);
      }
      memory.downloadLogits(stream, 0);
      stream.synchronize();
    }
    int first = flag.get(JAVA_INT, 0);
    return first < operations.size() ? operations.get(first) : operations.getLast();
  }

  @Override
  public MemorySegment logits() {
    return logits;
  }

  @Override
  public Optional<TokenSampler> sampler() {
    if (sampler.isEmpty()) {
      device.requireAlive();
      try {
        sampler =
            Optional.of(
                new CudaSampler(device.driver(), limits.outputs(), program.logits().width()));
      } catch (CudaException e) {
        device.failed(e);
        throw e;
      }
    }
    return Optional.of(sampler.get());
  }

  @Override
  public long bytes() {
    return memory.bytes() + sampler.map(CudaSampler::bytes).orElse(0L);
  }

  @Override
  public void close() {
    for (Captured[][] ofRows : graphs) {
      for (Captured[] ofOutputs : ofRows) {
        for (int i = 0; i < ofOutputs.length; i++) {
          if (ofOutputs[i] != null) {
            ofOutputs[i].graph.close();
            ofOutputs[i].step.close();
            ofOutputs[i] = null;
          }
        }
      }
    }
    if (stream != null) {
      stream.close();
      stream = null;
    }
    sampler.ifPresent(CudaSampler::close);
    sampler = Optional.empty();
    if (memory != null) {
      memory.close();
      memory = null;
    }
  }
}
