// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.machine;

import com.sun.jna.LastErrorException;
import com.sun.jna.Native;
import com.sun.jna.Platform;
import dev.tokamak.backend.BackendException;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/**
 * What the C library of Linux does for memory maps and threads, through JNA. All of it but {@link
 * #lock} is advice: where the library or a call is not there, nothing is lost but speed or memory.
 */
public final class Libc {
  private static final int PAGE = 4096;
  private static final int MADV_WILLNEED = 3;
  private static final int MADV_DONTNEED = 4;
  private static final boolean BOUND = bind();

  private Libc() {}

  /** The processors that this process may run on, in rising order; empty where that is unknown. */
  public static Optional<int[]> affinity() {
    if (!BOUND) {
      return Optional.empty();
    }
    byte[] mask = new byte[1024];
    try {
      int bytes = sched_getaffinity(0, mask.length, mask);
      int[] cpus = new int[8 * mask.length];
      int count = 0;
      for (int cpu = 0; cpu < 8 * mask.length && bytes >= 0; cpu++) {
        if ((mask[cpu / 8] >> cpu % 8 & 1) != 0) {
          cpus[count++] = cpu;
        }
      }
      return count == 0 ? Optional.empty() : Optional.of(java.util.Arrays.copyOf(cpus, count));
    } catch (LastErrorException e) {
      return Optional.empty();
    }
  }

  /** Asks the system to read a mapped file ahead. */
  public static void willNeed(MemorySegment mapped) {
    advise(mapped, MADV_WILLNEED);
  }

  /**
   * Gives back the pages of a part of a mapped file; they are read again when touched. The pages at
   * its ends stay, since they may hold its neighbours. Memory that no file stands behind stays as it
   * is: its content would be lost.
   */
  public static void release(MemorySegment memory) {
    if (memory.isMapped()) {
      advise(memory, MADV_DONTNEED);
    }
  }

  /**
   * Keeps memory from being swapped out until it is unmapped.
   *
   * @throws BackendException if the system refuses, with its reason
   */
  public static void lock(long address, long bytes) {
    String what = "lock " + bytes + " bytes in memory: ";
    if (!BOUND) {
      throw new BackendException(what + "this system has no mlock");
    }
    try {
      mlock(address, bytes);
    } catch (LastErrorException e) {
      throw new BackendException(what + e.getMessage() + "; the limit is that of ulimit -l", e);
    }
  }

  private static void advise(MemorySegment mapped, int advice) {
    long from = (mapped.address() + PAGE - 1) / PAGE * PAGE;
    long to = (mapped.address() + mapped.byteSize()) / PAGE * PAGE;
    if (!BOUND || to <= from) {
      return;
    }
    try {
      madvise(from, to - from, advice);
    } catch (LastErrorException e) {
      // Advice that the system does not take.
    }
  }

  private static boolean bind() {
    if (!Platform.isLinux() || !Platform.is64Bit()) {
      return false;
    }
    try {
      Native.register(Libc.class, "c");
      return true;
    } catch (LinkageError e) {
      return false;
    }
  }

  // size_t is a Java long on the 64-bit systems that this serves; primitives cost no allocation.
  private static native int madvise(long address, long length, int advice)
      throws LastErrorException;

  private static native int mlock(long address, long length) throws LastErrorException;

  private static native int sched_getaffinity(int pid, long size, byte[] mask)
      throws LastErrorException;
}
