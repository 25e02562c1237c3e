// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.FloatByReference;
import com.sun.jna.ptr.PointerByReference;
import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.QuantType;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.SplittableRandom;

/**
 * NVIDIA's own products of dense matrices, as a yardstick (cuBLAS reference, cublasGemmEx). It is
 * no part of Tokamak: where libcublas is installed it is found by its name.
 */
final class Cublas {
  /** The library's functions; each returns a cublasStatus_t. */
  @FunctionalInterface
  interface Functions {
    int call(String name, Object... arguments);
  }

  /** Of CUDA 13 and 12, and whichever the system's search path has. */
  static final List<String> NAMES = List.of("libcublas.so.13", "libcublas.so.12", "cublas");

  /** More than the caches of devices: so much weight is read before the first comes again. */
  private static final long COLD_BYTES = 256 << 20;

  private static final int MOST_COPIES = 256;
  private static final int REPETITIONS = 5;
  private static final long PINNED_BYTES = 16 << 20;

  // cublasOperation_t, cublasComputeType_t, cublasGemmAlgo_t
  private static final int TRANSPOSED = 1;
  private static final int AS_IT_IS = 0;
  private static final int COMPUTE_32F = 68;
  private static final int DEFAULT_ALGORITHM = -1;

  /**
   * How cuBLAS knows a type.
   *
   * @param id cudaDataType_t
   * @param free bits of a 32-bit word that are random in operands
   * @param fixed the others, so that numbers are from 0.5 to 1, of either sign
   */
  private record Element(int id, int bytes, int free, int fixed) {
    static final Element F32 = new Element(0, 4, 0x807fffff, 0x3f000000);
    private static final Element F16 = new Element(2, 2, 0x83ff83ff, 0x38003800);
    private static final Element BF16 = new Element(14, 2, 0x807f807f, 0x3f003f00);

    static Optional<Element> of(QuantType type) {
      return switch (type) {
        case F32 -> Optional.of(F32);
        case F16 -> Optional.of(F16);
        case BF16 -> Optional.of(BF16);
        default -> Optional.empty();
      };
    }
  }

  private final Optional<Functions> functions;
  private Optional<String> failure = Optional.empty();

  Cublas(Optional<Functions> functions) {
    this.functions = functions;
  }

  /** The first library with one of these names; empty: the machine has none. */
  static Optional<Functions> load(List<String> names) {
    for (String name : names) {
      try {
        NativeLibrary library = NativeLibrary.getInstance(name);
        return Optional.of(
            (function, arguments) -> library.getFunction(function).invokeInt(arguments));
      } catch (UnsatisfiedLinkError _) {
        // the next name
      }
    }
    return Optional.empty();
  }

  /** Why there are no times; empty: nothing has gone wrong. */
  Optional<String> obstacle() {
    return functions.isEmpty()
        ? Optional.of("libcublas is not installed: looked for " + String.join(", ", NAMES))
        : failure;
  }

  /**
   * Seconds of out [rows, outDim] = x [rows, cols] · Wᵀ, W [outDim, cols] of a type, x of the
   * same, out and all sums float32: the median of some repetitions, each a graph of products by
   * copies of W that are more than the caches hold. x of F16 and BF16 has half the bytes, and less
   * precision, than what Tokamak multiplies.
   *
   * @return empty if the library is not there or fails, or has no such product, or if the memory
   *     does not suffice
   */
  OptionalDouble seconds(CudaDevice device, QuantType type, int rows, long cols, long outDim) {
    Optional<Element> element = Element.of(type);
    if (functions.isEmpty() || element.isEmpty()) {
      return OptionalDouble.empty();
    }
    device.requireAlive();
    try {
      return seconds(device.driver(), element.get(), rows, (int) cols, (int) outDim);
    } catch (CudaException e) {
      device.failed(e);
      failure = Optional.of(e.getMessage());
    } catch (BackendException | UnsatisfiedLinkError e) {
      failure = Optional.of(e.getMessage());
    }
    return OptionalDouble.empty();
  }

  private OptionalDouble seconds(
      CudaDriver driver, Element element, int rows, int cols, int outDim) {
    long weights = CudaKernels.aligned((long) outDim * cols * element.bytes);
    long x = CudaKernels.aligned((long) rows * cols * element.bytes);
    long out = CudaKernels.aligned((long) rows * outDim * Float.BYTES);
    long room = driver.memory().freeBytes() / 2 - x - out;
    int copies = (int) Math.min(Math.min(1 + COLD_BYTES / weights, MOST_COPIES), room / weights);
    if (copies < 1) {
      return OptionalDouble.empty();
    }
    long memory = driver.allocate(copies * weights + x + out);
    try (CudaDriver.Stream stream = driver.stream()) {
      fill(driver, stream, memory, copies * weights + x, element);
      Pointer handle = create();
      try {
        check("cublasSetStream_v2", handle, new Pointer(stream.handle()));
        long activations = memory + copies * weights;
        multiply(handle, element, rows, cols, outDim, memory, activations, activations + x);
        stream.synchronize();
        stream.beginCapture();
        try {
          for (int i = 0; i < copies; i++) {
            multiply(
                handle, element, rows, cols, outDim, memory + i * weights, activations,
                activations + x);
          }
        } catch (RuntimeException | Error e) {
          stream.abandonCapture();
          throw e;
        }
        try (CudaDriver.Graph graph = stream.endCapture()) {
          return OptionalDouble.of(median(driver, stream, graph) / copies);
        }
      } finally {
        functions.orElseThrow().call("cublasDestroy_v2", handle);
      }
    } finally {
      driver.free(memory);
    }
  }

  /** Random numbers, none of them 0: a device's clock depends on what it multiplies. */
  @SuppressWarnings("restricted")
  private static void fill(
      CudaDriver driver, CudaDriver.Stream stream, long address, long bytes, Element element) {
    long piece = Math.min(PINNED_BYTES, bytes);
    long pinned = driver.allocatePinned(piece);
    try {
      MemorySegment words = MemorySegment.ofAddress(pinned).reinterpret(piece);
      var random = new SplittableRandom(0);
      for (long at = 0; at < piece; at += Integer.BYTES) {
        words.set(JAVA_INT, at, random.nextInt() & element.free | element.fixed);
      }
      for (long at = 0; at < bytes; at += piece) {
        stream.upload(address + at, pinned, Math.min(piece, bytes - at));
      }
      stream.synchronize();
    } finally {
      driver.freePinned(pinned);
    }
  }

  private Pointer create() {
    var handle = new PointerByReference();
    check("cublasCreate_v2", handle);
    return handle.getValue();
  }

  /** Its matrices are column by column: ours are theirs transposed. */
  private void multiply(
      Pointer handle, Element element, int rows, int cols, int outDim, long weights, long x,
      long out) {
    check(
        "cublasGemmEx",
        handle, TRANSPOSED, AS_IT_IS, outDim, rows, cols,
        new FloatByReference(1),
        new Pointer(weights), element.id, cols,
        new Pointer(x), element.id, cols,
        new FloatByReference(0),
        new Pointer(out), Element.F32.id, outDim,
        COMPUTE_32F, DEFAULT_ALGORITHM);
  }

  private static double median(
      CudaDriver driver, CudaDriver.Stream stream, CudaDriver.Graph graph) {
    double[] seconds = new double[REPETITIONS];
    try (CudaDriver.Event start = driver.event();
        CudaDriver.Event end = driver.event()) {
      for (int i = 0; i < REPETITIONS; i++) {
        stream.launch(graph); // while it runs, the second is on its way
        stream.record(start);
        stream.launch(graph);
        stream.record(end);
        seconds[i] = end.millisecondsSince(start) / 1000;
      }
    }
    Arrays.sort(seconds);
    return seconds[REPETITIONS / 2];
  }

  private void check(String function, Object... arguments) {
    int status = functions.orElseThrow().call(function, arguments);
    if (status != 0) {
      throw new BackendException("cuBLAS: " + function + ": status " + status);
    }
  }
}
