// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import dev.tokamak.backend.BackendException;
import java.util.Set;

/** A CUDA call failed; the message names the call, CUDA's error code and what it means. */
public final class CudaException extends BackendException {
  private static final long serialVersionUID = 1L;

  /** CUDA's error codes (cudaError_t) that the backend knows by name. */
  static final int OUT_OF_MEMORY = 2;

  static final int INSUFFICIENT_DRIVER = 35;
  static final int NO_DEVICE = 100;
  static final int LAUNCH_FAILURE = 719;

  /**
   * After these no call succeeds in this process: the device has gone, or its context is broken.
   * The runtime's documentation says of them that "the process must be terminated"; what is wrong
   * before the first allocation, the probe has found.
   */
  private static final Set<Integer> FATAL =
      Set.of(
          46, // the device is unavailable
          NO_DEVICE,
          101, // no such device
          201, // no context
          214, // memory error that cannot be corrected
          220, // the same on NVLink
          226, // contained error
          700, // illegal address
          702, // kernel ran too long
          709, // context destroyed
          710, // assertion in a kernel
          714, // hardware stack
          715, // illegal instruction
          716, // misaligned address
          717, // invalid address space
          718, // invalid program counter
          LAUNCH_FAILURE,
          721, // tensor memory leak
          999); // unknown, as when a device falls off its bus

  private final int code;
  private final String meaning;

  /**
   * @param call that failed, and what for
   * @param code CUDA's, a cudaError_t
   * @param meaning in CUDA's words
   */
  CudaException(String call, int code, String meaning) {
    super(
        "cuda: " + call + " failed with error " + code + " (" + meaning + ")"
            + (FATAL.contains(code) ? ": nothing runs on this device any more" : ""));
    this.code = code;
    this.meaning = meaning;
  }

  /** What the code means, in CUDA's words. */
  String meaning() {
    return meaning;
  }

  /** CUDA's error code. */
  public int code() {
    return code;
  }

  /** Whether there was not enough memory; all else still works. */
  public boolean outOfMemory() {
    return code == OUT_OF_MEMORY;
  }

  /** Whether the device cannot be used any more in this process. */
  public boolean fatal() {
    return FATAL.contains(code);
  }
}
