// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;

import dev.tokamak.backend.Roofline;
import dev.tokamak.backend.nativelib.CudaNative;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.function.IntSupplier;

/**
 * What a device does at best: the loops of {@code kernels/roofline.cu}, timed by events. The best
 * of some repetitions counts: other work on the machine can only make one worse. The bfloat16 peak
 * is that of {@code mma.sync}, which the kernels use; other instructions of a device may do more.
 */
final class CudaRoofline {
  /**
   * How much is timed at once: a launch should take a millisecond or so.
   *
   * @param mostBytes of memory to read, if there are as many
   * @param leastBytes below which caches would be measured
   */
  record Size(
      long mostBytes, long leastBytes, int floatRounds, int bf16Rounds, int repetitions) {
    /** Caches hold 126 MB at most, now. */
    static final Size OF_DEVICE = new Size(1L << 30, 512L << 20, 1 << 14, 1 << 12, 9);
  }

  /** So many blocks share a multiprocessor: kernels/roofline.cu. */
  private static final int BLOCKS = 4;

  private static final int LOAD_BYTES = 16;

  private final CudaDriver.Stream stream;
  private final CudaDriver.Event start;
  private final CudaDriver.Event end;
  private final MemorySegment work;
  private final int repetitions;

  private CudaRoofline(
      CudaDriver.Stream stream,
      CudaDriver.Event start,
      CudaDriver.Event end,
      MemorySegment work,
      int repetitions) {
    this.stream = stream;
    this.start = start;
    this.end = end;
    this.work = work;
    this.repetitions = repetitions;
  }

  /** Empty: too little memory is free for it. */
  static Optional<Roofline> measure(CudaDevice device, Size size) {
    device.requireAlive();
    CudaDriver driver = device.driver();
    int blocks = BLOCKS * device.properties().multiprocessors();
    long memory = 0;
    long sums = 0;
    try (Arena arena = Arena.ofConfined();
        CudaDriver.Stream stream = driver.stream();
        CudaDriver.Event start = driver.event();
        CudaDriver.Event end = driver.event()) {
      long bytes =
          Math.min(size.mostBytes, driver.memory().freeBytes() / 2) / LOAD_BYTES * LOAD_BYTES;
      if (bytes < size.leastBytes) {
        return Optional.empty();
      }
      memory = driver.allocate(bytes);
      sums = driver.allocate((long) blocks * Integer.BYTES);
      var timed =
          new CudaRoofline(stream, start, end, arena.allocate(JAVA_DOUBLE, 2), size.repetitions);
      long from = memory;
      long to = sums;
      return Optional.of(
          new Roofline(
              timed.best(
                  0, () -> CudaNative.tk_cuda_read(stream.handle(), blocks, from, bytes, to)),
              timed.best(
                  1,
                  () ->
                      CudaNative.tk_cuda_multiply_floats(
                          stream.handle(), blocks, size.floatRounds, to)),
              0,
              timed.best(
                  1,
                  () ->
                      CudaNative.tk_cuda_multiply_bf16(
                          stream.handle(), blocks, size.bf16Rounds, to))));
    } catch (CudaException e) {
      device.failed(e);
      throw e;
    } finally {
      for (long taken : new long[] {memory, sums}) {
        if (taken != 0) {
          driver.free(taken);
        }
      }
    }
  }

  /**
   * The most work a second.
   *
   * @param part of tk_cuda_work: 0 bytes, 1 operations
   */
  private double best(int part, IntSupplier launch) {
    double most = 0;
    for (int i = 0; i < repetitions; i++) {
      // While the device does the first, the second is on its way: only its work is timed.
      CudaKernels.check(launch.getAsInt(), "the roofline");
      stream.record(start);
      CudaKernels.check(launch.getAsInt(), "the roofline");
      stream.record(end);
      double seconds = end.millisecondsSince(start) / 1000;
      CudaKernels.check(CudaNative.tk_cuda_work(work.address()), "the roofline's work");
      most = Math.max(most, work.getAtIndex(JAVA_DOUBLE, part) / seconds);
    }
    return most;
  }
}
