// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.tokamak.backend.nativelib.CudaLibrary;
import dev.tokamak.backend.nativelib.CudaNative;
import dev.tokamak.backend.nativelib.NativeLibrary;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/** What the probe asks of a machine: the questions of {@code tokamak_cuda.h} about devices. */
interface CudaMachine {
  /**
   * What CUDA says of a device.
   *
   * @param capability 10 · major + minor
   * @param freeBytes of its memory, now
   */
  record Properties(
      String name, int capability, int multiprocessors, long memoryBytes, long freeBytes) {}

  /** Why the kernels cannot be called; what follows is asked only where they can. */
  Optional<String> libraryObstacle();

  /** Whether the kernels are those of the emulated device. */
  boolean emulated();

  /** How many devices there are; -1: {@link #errorCode} says why CUDA cannot tell. */
  int devices();

  /** CUDA's code of the last failed call, a cudaError_t. */
  int errorCode();

  /** What the last failed call has to say. */
  String errorMessage();

  /** The CUDA version of the driver, 1000 · major + 10 · minor; 0: no driver. */
  int driverVersion();

  /** The CUDA version of the kernels' library. */
  int runtimeVersion();

  /** What a device is; empty: {@link #errorCode} says why CUDA cannot tell. */
  Optional<Properties> properties(int device);

  /** What a small kernel computed wrongly; empty: nothing. */
  Optional<String> selfTest(int device);

  /**
   * The device's driver.
   *
   * @throws LinkageError if classes or libraries of the CUDA runtime are missing
   */
  CudaDriver driver(int device);

  /** This machine, through the kernels' library. */
  final class Native implements CudaMachine {
    @Override
    public Optional<String> libraryObstacle() {
      return CudaLibrary.obstacle();
    }

    @Override
    public boolean emulated() {
      return CudaNative.tk_cuda_emulated() != 0;
    }

    @Override
    public int devices() {
      return CudaNative.tk_cuda_devices();
    }

    @Override
    public int errorCode() {
      return CudaNative.tk_cuda_error_code();
    }

    @Override
    public String errorMessage() {
      return CudaLibrary.lastError();
    }

    @Override
    public int driverVersion() {
      return CudaNative.tk_cuda_driver_version();
    }

    @Override
    public int runtimeVersion() {
      return CudaNative.tk_cuda_runtime_version();
    }

    @Override
    public Optional<Properties> properties(int device) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment out = arena.allocate(JAVA_LONG, 5);
        if (CudaNative.tk_cuda_device(device, out.address()) != CudaKernels.OK) {
          return Optional.empty();
        }
        return Optional.of(
            new Properties(
                NativeLibrary.string(CudaNative.tk_cuda_device_name(device)),
                (int) out.getAtIndex(JAVA_LONG, 0),
                (int) out.getAtIndex(JAVA_LONG, 1),
                out.getAtIndex(JAVA_LONG, 2),
                out.getAtIndex(JAVA_LONG, 3)));
      }
    }

    @Override
    public Optional<String> selfTest(int device) {
      return CudaNative.tk_cuda_self_test(device) == CudaKernels.OK
          ? Optional.empty()
          : Optional.of(CudaLibrary.lastError());
    }

    @Override
    public CudaDriver driver(int device) {
      return emulated() ? new EmulatedDriver() : new BytedecoDriver(device);
    }
  }
}
