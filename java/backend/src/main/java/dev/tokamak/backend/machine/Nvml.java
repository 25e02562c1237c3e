// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.machine;

import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.IntByReference;
import com.sun.jna.ptr.PointerByReference;
import java.util.ArrayList;
import java.util.List;

/**
 * What NVIDIA's management library says about the GPUs of this machine, through JNA, when the
 * driver has brought it (NVML API reference, device queries). Nothing here needs CUDA.
 */
public final class Nvml {
  private static final int SUCCESS = 0;

  /** More than any machine has: whatever the library says, the list ends. */
  private static final int MOST_GPUS = 256;

  private Nvml() {}

  /**
   * One GPU.
   *
   * @param totalBytes of its memory
   * @param freeBytes of its memory, now
   */
  public record Gpu(int index, String name, long totalBytes, long freeBytes) {}

  /**
   * The GPUs, or why none can be named.
   *
   * @param obstacle empty if the library answered
   */
  public record Answer(List<Gpu> gpus, String obstacle) {}

  public static Answer gpus() {
    NativeLibrary library;
    try {
      library = NativeLibrary.getInstance("nvidia-ml");
    } catch (UnsatisfiedLinkError e) {
      try {
        library = NativeLibrary.getInstance("libnvidia-ml.so.1");
      } catch (UnsatisfiedLinkError none) {
        return new Answer(List.of(), "no NVIDIA driver: libnvidia-ml is not there");
      }
    }
    try {
      int status = call(library, "nvmlInit_v2");
      if (status != SUCCESS) {
        return new Answer(List.of(), "NVML does not start: error " + status);
      }
      return new Answer(list(library), "");
    } catch (UnsatisfiedLinkError e) {
      return new Answer(List.of(), "NVML lacks a function: " + e.getMessage());
    }
  }

  private static List<Gpu> list(NativeLibrary library) {
    List<Gpu> gpus = new ArrayList<>();
    IntByReference count = new IntByReference();
    if (call(library, "nvmlDeviceGetCount_v2", count) != SUCCESS) {
      return gpus;
    }
    for (int index = 0; index < Math.min(count.getValue(), MOST_GPUS); index++) {
      PointerByReference device = new PointerByReference();
      if (call(library, "nvmlDeviceGetHandleByIndex_v2", index, device) != SUCCESS) {
        continue;
      }
      byte[] name = new byte[96];
      long[] memory = new long[3]; // nvmlMemory_t: total, free, used
      Pointer handle = device.getValue();
      boolean named = call(library, "nvmlDeviceGetName", handle, name, name.length) == SUCCESS;
      boolean sized = call(library, "nvmlDeviceGetMemoryInfo", handle, memory) == SUCCESS;
      gpus.add(
          new Gpu(
              index,
              named ? Native.toString(name) : "unnamed",
              sized ? memory[0] : 0,
              sized ? memory[1] : 0));
    }
    return gpus;
  }

  private static int call(NativeLibrary library, String function, Object... arguments) {
    return library.getFunction(function).invokeInt(arguments);
  }
}
