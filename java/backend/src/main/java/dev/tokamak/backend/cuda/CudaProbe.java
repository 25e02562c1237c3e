// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import dev.tokamak.backend.nativelib.NativeLibrary;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What was found of CUDA: the devices, and the first of them that can be used, or why none can.
 * Asked once in a process. What NVML says plays no part in it.
 */
public final class CudaProbe {
  /** Compute capability of the first devices with mma.sync of bfloat16 and asynchronous copies. */
  static final int CAPABILITY = 80;

  /**
   * A device as CUDA sees it.
   *
   * @param capability compute capability, 10 · major + minor
   * @param freeBytes of its memory, when the probe looked
   * @param obstacle why it cannot be used
   */
  public record Device(
      int index,
      String name,
      int capability,
      int multiprocessors,
      long memoryBytes,
      long freeBytes,
      Optional<CudaObstacle> obstacle) {}

  private static final class Once {
    static final CudaProbe OF_MACHINE = new CudaProbe(new CudaMachine.Native());
  }

  private final List<Device> devices = new ArrayList<>();
  private Optional<CudaObstacle> obstacle = Optional.empty();
  private Optional<CudaDevice> usable = Optional.empty();

  CudaProbe(CudaMachine machine) {
    Optional<String> missing = machine.libraryObstacle();
    if (missing.isPresent()) {
      obstacle = Optional.of(new CudaObstacle.LibraryMissing(missing.get()));
      return;
    }
    int count = machine.devices();
    if (count <= 0) {
      obstacle = Optional.of(count < 0 ? whyNone(machine) : noDevice());
      return;
    }
    for (int index = 0; index < count; index++) {
      look(machine, index);
    }
    if (usable.isEmpty()) {
      obstacle = devices.getFirst().obstacle();
    }
  }

  /** What this machine has. */
  public static CudaProbe ofMachine() {
    return Once.OF_MACHINE;
  }

  /** All devices that CUDA names. */
  public List<Device> devices() {
    return List.copyOf(devices);
  }

  /** Why no device can be used, now; empty: {@link #device} can. */
  public Optional<CudaObstacle> obstacle() {
    return usable
        .flatMap(CudaDevice::lost)
        .map(e -> (CudaObstacle) new CudaObstacle.DeviceLost(e.getMessage()))
        .or(() -> obstacle);
  }

  /** The device to use. */
  Optional<CudaDevice> device() {
    return usable;
  }

  private static CudaObstacle whyNone(CudaMachine machine) {
    int code = machine.errorCode();
    int have = machine.driverVersion();
    int need = machine.runtimeVersion();
    if (have == 0) {
      return new CudaObstacle.NoDriver(need);
    }
    return switch (code) {
      case CudaException.INSUFFICIENT_DRIVER -> new CudaObstacle.DriverTooOld(have, need);
      case CudaException.NO_DEVICE -> noDevice();
      default -> new CudaObstacle.CudaFails(code, machine.errorMessage());
    };
  }

  private static CudaObstacle noDevice() {
    return new CudaObstacle.NoDevice(Optional.ofNullable(System.getenv("CUDA_VISIBLE_DEVICES")));
  }

  /** Lists a device; opens it if it is the first that can be used. */
  private void look(CudaMachine machine, int index) {
    Optional<CudaMachine.Properties> found = machine.properties(index);
    if (found.isEmpty()) {
      CudaObstacle why = new CudaObstacle.CudaFails(machine.errorCode(), machine.errorMessage());
      devices.add(new Device(index, "device " + index, 0, 0, 0, 0, Optional.of(why)));
      return;
    }
    CudaMachine.Properties p = found.get();
    Optional<CudaObstacle> why = Optional.empty();
    if (p.capability() < CAPABILITY) {
      why = Optional.of(new CudaObstacle.CapabilityTooLow(p.name(), p.capability(), CAPABILITY));
    } else if (usable.isEmpty()) {
      why = open(machine, index, p);
    }
    devices.add(
        new Device(
            index,
            p.name(),
            p.capability(),
            p.multiprocessors(),
            p.memoryBytes(),
            p.freeBytes(),
            why));
  }

  private Optional<CudaObstacle> open(CudaMachine machine, int index, CudaMachine.Properties p) {
    Optional<String> wrong = machine.selfTest(index);
    if (wrong.isPresent()) {
      return Optional.of(new CudaObstacle.SelfTestWrong(p.name(), wrong.get()));
    }
    try {
      usable = Optional.of(new CudaDevice(p, machine.emulated(), machine.driver(index)));
      return Optional.empty();
    } catch (LinkageError e) {
      return Optional.of(new CudaObstacle.ClassesMissing(NativeLibrary.firstLine(e)));
    } catch (CudaException e) {
      return Optional.of(new CudaObstacle.CudaFails(e.code(), e.meaning()));
    }
  }
}
