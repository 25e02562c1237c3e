// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.tokamak.backend.nativelib.CudaNative;
import dev.tokamak.backend.train.TrainingBatch;
import dev.tokamak.backend.train.TrainingShape;
import java.lang.foreign.MemorySegment;

/**
 * What travels in each training step, on the device and in a twin of pinned memory: to the device
 * the batch, later its coefficients; back its log probabilities, the norm of the gradients, and the
 * flag that names what is not finite. One copy each way and pass.
 */
final class TrainingExchange implements AutoCloseable {
  /** What the flag holds while all is finite. */
  static final int FINITE = Integer.MAX_VALUE;

  private final CudaDriver driver;
  private final long tokens;
  private final long positions;
  private final long starts;
  private final long outputs;
  private final long targets;
  private final long coefficients;
  private final long logProbabilities;
  private final long squares;
  private final long flag;
  private final long bytes;
  private long device;
  private long pinned;
  private MemorySegment view;

  TrainingExchange(CudaDriver driver, TrainingShape shape) {
    this.driver = driver;
    MemoryPlan plan = new MemoryPlan();
    String purpose = "batch";
    plan.add(purpose, 2 * Integer.BYTES); // the counts, at 0
    tokens = plan.add(purpose, (long) shape.rows() * Integer.BYTES);
    positions = plan.add(purpose, (long) shape.rows() * Integer.BYTES);
    starts = plan.add(purpose, (long) shape.rows() * Integer.BYTES);
    outputs = plan.add(purpose, (long) shape.outputs() * Integer.BYTES);
    targets = plan.add(purpose, (long) shape.outputs() * Integer.BYTES);
    coefficients = plan.add(purpose, (long) shape.outputs() * Float.BYTES);
    logProbabilities = plan.add(purpose, (long) shape.outputs() * Float.BYTES);
    squares = plan.add(purpose, Double.BYTES);
    flag = plan.add(purpose, Integer.BYTES);
    bytes = plan.total();
  }

  /** Bytes on the device, and as many pinned ones. */
  long bytes() {
    return bytes;
  }

  /** Takes the pinned memory; {@code address} is where the device has the other. */
  @SuppressWarnings("restricted") // Our own memory, with the size that it was allocated with.
  void place(long address) {
    device = address;
    pinned = driver.allocatePinned(bytes);
    view = MemorySegment.ofAddress(pinned).reinterpret(bytes);
  }

  /** Queues the way of the batch to the device. */
  void upload(CudaDriver.Stream stream, TrainingBatch batch) {
    TrainingBatch.Arrays arrays = batch.arrays();
    view.set(JAVA_INT, 0, batch.rows());
    view.set(JAVA_INT, Integer.BYTES, batch.outputs());
    fill(tokens, arrays.tokens(), batch.rows());
    fill(positions, arrays.positions(), batch.rows());
    fill(starts, arrays.starts(), batch.rows());
    fill(outputs, arrays.outputs(), batch.outputs());
    fill(targets, arrays.targets(), batch.outputs());
    stream.upload(device, pinned, coefficients);
  }

  /** Queues the way of the coefficients. */
  void uploadCoefficients(CudaDriver.Stream stream, TrainingBatch batch) {
    fill(coefficients, batch.arrays().coefficients(), batch.outputs());
    long size = (long) batch.outputs() * Float.BYTES;
    stream.upload(device + coefficients, pinned + coefficients, size);
  }

  private void fill(long offset, MemorySegment words, int count) {
    MemorySegment.copy(words, 0, view, offset, (long) count * Integer.BYTES);
  }

  /** Brings the log probabilities of a step that the stream has all work of into its batch. */
  void downloadLogProbabilities(CudaDriver.Stream stream, TrainingBatch batch) {
    long size = (long) batch.outputs() * Float.BYTES;
    stream.download(pinned + logProbabilities, device + logProbabilities, size);
    stream.synchronize();
    MemorySegment.copy(view, logProbabilities, batch.arrays().logProbabilities(), 0, size);
  }

  /** The sum of squares, when the stream has done its work. */
  double downloadSquares(CudaDriver.Stream stream) {
    stream.download(pinned + squares, device + squares, Double.BYTES);
    stream.synchronize();
    return view.get(JAVA_DOUBLE, squares);
  }

  /** Queues the flag's first state. */
  void uploadFlag(CudaDriver.Stream stream) {
    view.set(JAVA_INT, flag, FINITE);
    stream.upload(device + flag, pinned + flag, Integer.BYTES);
  }

  /** The flag, when the stream has done its work. */
  int downloadFlag(CudaDriver.Stream stream) {
    stream.download(pinned + flag, device + flag, Integer.BYTES);
    stream.synchronize();
    return view.get(JAVA_INT, flag);
  }

  /** A step of the kernels for a batch that was uploaded. */
  long step(CudaDriver.Stream stream, TrainingBatch batch) {
    return CudaNative.tk_cuda_train_step(
        stream.handle(),
        batch.rows(),
        batch.outputs(),
        device,
        device + tokens,
        device + positions,
        device + starts,
        device + outputs);
  }

  long targets() {
    return device + targets;
  }

  long coefficients() {
    return device + coefficients;
  }

  long logProbabilities() {
    return device + logProbabilities;
  }

  long squares() {
    return device + squares;
  }

  long flag() {
    return device + flag;
  }

  @Override
  public void close() {
    if (pinned != 0) {
      driver.freePinned(pinned);
      pinned = 0;
    }
  }
}
