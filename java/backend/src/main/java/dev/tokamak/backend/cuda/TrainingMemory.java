// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.Value;
import dev.tokamak.backend.nativelib.CudaLibrary;
import dev.tokamak.backend.nativelib.CudaNative;
import dev.tokamak.backend.train.Parameter;
import dev.tokamak.backend.train.Parameters;
import dev.tokamak.backend.train.Placement;
import dev.tokamak.backend.train.TrainingOperation;
import dev.tokamak.backend.train.TrainingOperation.AttentionGradient;
import dev.tokamak.backend.train.TrainingOperation.BiasGradient;
import dev.tokamak.backend.train.TrainingOperation.InputGradient;
import dev.tokamak.backend.train.TrainingOperation.MatMul;
import dev.tokamak.backend.train.TrainingOperation.NormGradient;
import dev.tokamak.backend.train.TrainingOperation.Rope;
import dev.tokamak.backend.train.TrainingOperation.WeightGradient;
import dev.tokamak.backend.train.TrainingProgram;
import dev.tokamak.backend.train.TrainingReplay.State;
import dev.tokamak.backend.train.TrainingShape;
import java.lang.foreign.MemorySegment;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

/**
 * The device memory of a training program, in one piece: weights, gradients and moments; the packed
 * factors of products, of weights and of the values at hand; activations where {@link Placement}
 * says; rotary tables, scratch, and the exchange.
 */
final class TrainingMemory implements AutoCloseable {
  private final CudaDriver driver;
  private final TrainingShape shape;
  private final int arithmetic;
  private final List<TrainingOperation> operations;
  private final Placement placement;
  private final MemoryPlan plan = new MemoryPlan();
  private final Map<State, Long> states = new EnumMap<>(State.class);
  private final Map<State, Long> floats = new EnumMap<>(State.class);
  private final Map<Parameter, Long> packed = new LinkedHashMap<>();
  private final Map<Long, Long> tables = new HashMap<>();
  private final long values;
  private final long leftFactor;
  private final long rightFactor;
  private final long scratch;
  private final TrainingExchange exchange;
  private final long laneBytes;
  private long device;
  private long lane;
  private MemorySegment laneView;

  /**
   * Plans, then takes the memory, makes the state zero and fills the rotary tables.
   *
   * @throws BackendException if the plan does not fit, with its numbers
   */
  @SuppressWarnings("restricted") // Our own memory, with the size that it was allocated with.
  TrainingMemory(
      CudaDriver driver, CudaDriver.Stream stream, TrainingProgram program, TrainingShape shape) {
    this.driver = driver;
    this.shape = shape;
    arithmetic = arithmetic(shape);
    operations =
        Stream.<TrainingOperation>concat(program.forward().stream(), program.backward().stream())
            .toList();
    placement = Placement.of(program, shape);
    Parameters parameters = program.parameters();
    state(State.WEIGHTS, "weights", parameters.size());
    state(State.GRADIENTS, "gradients", parameters.trainableSize());
    state(State.FIRST_MOMENT, "moments", parameters.trainableSize());
    state(State.SECOND_MOMENT, "moments", parameters.trainableSize());
    for (TrainingOperation operation : operations) {
      if (operation instanceof MatMul op && !packed.containsKey(op.weight())) {
        long bytes = packedBytes(op.weight().rows(), op.weight().cols());
        packed.put(op.weight(), plan.add("packed weights", bytes));
      }
    }
    values = plan.add("activations", bytesOf(placement.size()));
    leftFactor = plan.add("factors", factorBytes(true));
    rightFactor = plan.add("factors", factorBytes(false));
    scratch = plan.add("scratch", scratchBytes(parameters));
    Map<Long, Tensor> rotary = rotaryTables();
    rotary.forEach(
        (key, table) -> tables.put(key, plan.add("rotary table", table.data().byteSize())));
    exchange = new TrainingExchange(driver, shape);
    long exchangeOffset = plan.add("batch", exchange.bytes());
    plan.require(
        driver.memory(), "a smaller batch, recomputed activations or a smaller model needs less");
    laneBytes = Math.min(Staging.LANE_BYTES, CudaKernels.aligned(bytesOf(parameters.size())));
    try {
      device = driver.allocate(plan.total());
      lane = driver.allocatePinned(laneBytes);
      laneView = MemorySegment.ofAddress(lane).reinterpret(laneBytes);
      exchange.place(device + exchangeOffset);
      for (State state : State.values()) {
        clear(stream, state);
      }
      rotary.forEach((key, table) -> upload(stream, device + tables.get(key), table.data()));
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** The number of tokamak_cuda_train.h. */
  static int arithmetic(TrainingShape shape) {
    return switch (shape.arithmetic()) {
      case F32 -> CudaNative.TK_TRAIN_F32;
      case BF16 -> CudaNative.TK_TRAIN_BF16;
    };
  }

  private static long bytesOf(long floats) {
    return Math.multiplyExact(floats, (long) Float.BYTES);
  }

  private void state(State state, String purpose, long count) {
    states.put(state, plan.add(purpose, bytesOf(count)));
    floats.put(state, count);
  }

  /** What the kernels' library answers to a question for bytes. */
  private static long answered(long bytes) {
    if (bytes < 0) {
      throw new BackendException("cuda: " + CudaLibrary.lastError());
    }
    return bytes;
  }

  private long packedBytes(long rows, long cols) {
    return answered(CudaNative.tk_cuda_train_packed_bytes(arithmetic, rows, cols));
  }

  private long rows(Value value) {
    return value.rows() == Value.Rows.STEP ? shape.rows() : shape.outputs();
  }

  /** Of the largest value that is the left factor, or the right one, of a product. */
  private long factorBytes(boolean left) {
    long most = 0;
    for (TrainingOperation operation : operations) {
      Value value =
          switch (operation) {
            case MatMul op when !left -> op.x();
            case WeightGradient op -> left ? op.outGradient() : op.x();
            case InputGradient op when left -> op.outGradient();
            default -> null;
          };
      if (value != null) {
        most = Math.max(most, packedBytes(rows(value), value.width()));
      }
    }
    return most;
  }

  private long scratchBytes(Parameters parameters) {
    long most = CudaNative.tk_cuda_train_squares_bytes();
    for (TrainingOperation operation : operations) {
      most = Math.max(most, answered(scratchBytes(operation)));
    }
    for (Parameter parameter : parameters.trainable()) {
      if (parameter.role() == Parameter.Role.MATRIX) {
        long muon =
            CudaNative.tk_cuda_train_muon_bytes(arithmetic, parameter.rows(), parameter.cols());
        most = Math.max(most, answered(muon));
      }
    }
    return most;
  }

  private long scratchBytes(TrainingOperation operation) {
    return switch (operation) {
      case WeightGradient op ->
          CudaNative.tk_cuda_train_weight_gradient_bytes(
              rows(op.x()), op.weight().rows(), op.weight().cols());
      case BiasGradient op ->
          CudaNative.tk_cuda_train_column_bytes(
              rows(op.outGradient()), op.outGradient().width());
      case NormGradient op ->
          CudaNative.tk_cuda_train_column_bytes(
              rows(op.x()) * (op.x().width() / op.weight().cols()), op.weight().cols());
      case AttentionGradient op ->
          CudaNative.tk_cuda_train_attention_gradient_bytes(
              shape.rows(), op.forward().logSums().width());
      default -> 0;
    };
  }

  private Map<Long, Tensor> rotaryTables() {
    Map<Long, Tensor> found = new LinkedHashMap<>();
    for (TrainingOperation operation : operations) {
      if (operation instanceof Rope rope) {
        found.put(rope.table().data().address(), rope.table());
      }
    }
    return found;
  }

  // ---- where things are ----

  long value(Value value) {
    return device + values + bytesOf(placement.offset(value));
  }

  long weight(Parameter parameter) {
    return address(State.WEIGHTS, parameter.offset());
  }

  /** 0 where it is frozen. */
  long gradient(Parameter parameter) {
    return parameter.trainable() ? address(State.GRADIENTS, parameter.offset()) : 0;
  }

  long address(State state, long offset) {
    return device + states.get(state) + bytesOf(offset);
  }

  /** Floats of an array of the state. */
  long floats(State state) {
    return floats.get(state);
  }

  /** The weights that are factors of products. */
  Set<Parameter> factors() {
    return packed.keySet();
  }

  /** Where such a weight lies packed. */
  long packed(Parameter weight) {
    return device + packed.get(weight);
  }

  /** Where a gradient of an output lies packed. */
  long leftFactor() {
    return device + leftFactor;
  }

  /** Where an input of a product lies packed. */
  long rightFactor() {
    return device + rightFactor;
  }

  long scratch() {
    return device + scratch;
  }

  long table(Tensor rotary) {
    return device + tables.get(rotary.data().address());
  }

  TrainingExchange exchange() {
    return exchange;
  }

  /** Bytes on the device. */
  long bytes() {
    return plan.total();
  }

  // ---- copies, each done when it returns ----

  private void clear(CudaDriver.Stream stream, State state) {
    long bytes = bytesOf(floats(state));
    laneView.fill((byte) 0);
    for (long from = 0; from < bytes; from += laneBytes) {
      stream.upload(address(state, 0) + from, lane, Math.min(laneBytes, bytes - from));
    }
    stream.synchronize();
  }

  void upload(CudaDriver.Stream stream, long to, MemorySegment data) {
    for (long from = 0; from < data.byteSize(); from += laneBytes) {
      long piece = Math.min(laneBytes, data.byteSize() - from);
      MemorySegment.copy(data, from, laneView, 0, piece);
      stream.upload(to + from, lane, piece);
      stream.synchronize();
    }
  }

  void download(CudaDriver.Stream stream, MemorySegment to, long data) {
    for (long from = 0; from < to.byteSize(); from += laneBytes) {
      long piece = Math.min(laneBytes, to.byteSize() - from);
      stream.download(lane, data + from, piece);
      stream.synchronize();
      MemorySegment.copy(laneView, 0, to, from, piece);
    }
  }

  @Override
  public void close() {
    exchange.close();
    if (lane != 0) {
      driver.freePinned(lane);
      lane = 0;
    }
    if (device != 0) {
      driver.free(device);
      device = 0;
    }
  }
}
