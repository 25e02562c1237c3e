// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import dev.tokamak.backend.BackendException;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What will lie where in one piece of device memory, made before any of it is taken: each part is
 * added with its purpose and gets its offset.
 */
final class MemoryPlan {
  /** Left to CUDA itself, which loads kernels and graphs into the device's memory too. */
  static final long RESERVE = 64L << 20;

  private final Map<String, Long> parts = new LinkedHashMap<>();
  private long total;

  /**
   * Adds memory.
   *
   * @param purpose in a word or two, such as {@code the cache}; the sum of each is told
   * @return its offset, a multiple of {@link CudaKernels#ALIGNMENT}
   */
  long add(String purpose, long bytes) {
    long offset = total;
    long whole = CudaKernels.aligned(bytes);
    parts.merge(purpose, whole, Math::addExact);
    total = Math.addExact(total, whole);
    return offset;
  }

  /** Bytes of all parts. */
  long total() {
    return total;
  }

  /**
   * Refuses a plan that does not fit.
   *
   * @param advice what the user may do
   */
  void require(CudaDriver.Memory memory, String advice) {
    if (total > memory.freeBytes() - RESERVE) {
      throw new BackendException(
          "cuda: not enough device memory: " + this + ", " + size(memory.freeBytes())
              + " free of " + size(memory.totalBytes()) + ", " + size(RESERVE)
              + " of it for CUDA itself; " + advice);
    }
  }

  /** For example {@code activations 5.2 MB + cache 1.07 GB = 1.08 GB}. */
  @Override
  public String toString() {
    String sum =
        parts.entrySet().stream()
            .map(part -> part.getKey() + " " + size(part.getValue()))
            .collect(Collectors.joining(" + "));
    return parts.size() == 1 ? sum : sum + " = " + size(total);
  }

  /** For example {@code 1.05 GB}. */
  static String size(long bytes) {
    String[] units = {"B", "kB", "MB", "GB", "TB"};
    double scaled = bytes;
    int unit = 0;
    while (scaled >= 999.5 && unit < units.length - 1) {
      scaled /= 1000;
      unit++;
    }
    int decimals = unit == 0 || scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2;
    return String.format(Locale.ROOT, "%." + decimals + "f %s", scaled, units[unit]);
  }
}
