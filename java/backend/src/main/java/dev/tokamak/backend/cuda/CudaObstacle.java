// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import java.util.Optional;

/** Why no GPU can be used: each reason says in one line what is there and what would be right. */
public sealed interface CudaObstacle {
  /** The reason, in one line. */
  String message();

  /** The kernels' library is not there, or does not load. */
  record LibraryMissing(String reason) implements CudaObstacle {
    @Override
    public String message() {
      return reason;
    }
  }

  record NoDriver(int need) implements CudaObstacle {
    @Override
    public String message() {
      return "no NVIDIA driver on this machine, expected one for CUDA " + version(need)
          + " or later";
    }
  }

  /**
   * The driver is older than the library.
   *
   * @param have CUDA version of the driver, 1000 · major + 10 · minor
   * @param need CUDA version of the library
   */
  record DriverTooOld(int have, int need) implements CudaObstacle {
    @Override
    public String message() {
      return "the NVIDIA driver is for CUDA " + version(have) + ", expected one for CUDA "
          + version(need) + " or later";
    }
  }

  /**
   * The driver shows no device.
   *
   * @param visible what the environment variable CUDA_VISIBLE_DEVICES lets through, if it is set
   */
  record NoDevice(Optional<String> visible) implements CudaObstacle {
    @Override
    public String message() {
      return "the NVIDIA driver shows no GPU"
          + visible.map(value -> "; CUDA_VISIBLE_DEVICES is '" + value + "'").orElse("");
    }
  }

  /** CUDA does not start, for a reason of its own. */
  record CudaFails(int code, String meaning) implements CudaObstacle {
    @Override
    public String message() {
      return "CUDA does not start: error " + code + " (" + meaning + ")";
    }
  }

  /**
   * The device is older than the kernels.
   *
   * @param have compute capability, 10 · major + minor
   */
  record CapabilityTooLow(String device, int have, int need) implements CudaObstacle {
    @Override
    public String message() {
      return device + " has compute capability " + capability(have) + ", expected "
          + capability(need) + " or higher";
    }
  }

  /** The model does not fit. */
  record TooLittleMemory(String device, long have, long need) implements CudaObstacle {
    @Override
    public String message() {
      return "the weights take " + MemoryPlan.size(need) + " of memory, " + device + " has "
          + MemoryPlan.size(have) + " free";
    }
  }

  /** A tensor of the model is of a shape or type that no kernel takes. */
  record WeightsNotSupported(String reason) implements CudaObstacle {
    @Override
    public String message() {
      return reason;
    }
  }

  /** The device computes something else than it should. */
  record SelfTestWrong(String device, String difference) implements CudaObstacle {
    @Override
    public String message() {
      return "the self test fails on " + device + ": " + difference;
    }
  }

  /** The binding of the CUDA runtime, or the runtime itself, is not on the class path. */
  record ClassesMissing(String reason) implements CudaObstacle {
    @Override
    public String message() {
      return "the CUDA runtime does not load: " + reason;
    }
  }

  /** The device failed earlier in this process. */
  record DeviceLost(String reason) implements CudaObstacle {
    @Override
    public String message() {
      return "the device failed earlier: " + reason;
    }
  }

  /** There is only a device in software, which serves tests. */
  record OnlyEmulated() implements CudaObstacle {
    @Override
    public String message() {
      return "the device is an emulated one, which runs only when asked for";
    }
  }

  private static String version(int version) {
    return version / 1000 + "." + version % 1000 / 10;
  }

  private static String capability(int capability) {
    return capability / 10 + "." + capability % 10;
  }
}
