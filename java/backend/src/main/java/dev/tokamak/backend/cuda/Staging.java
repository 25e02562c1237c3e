// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import java.lang.foreign.MemorySegment;

/**
 * The way of large data to the device: two lanes, each a piece of pinned memory with a stream, used
 * in turn, so that the processor fills one while the device empties the other.
 */
final class Staging implements AutoCloseable {
  /** A lane takes as much, unless there is less to bring or a group of rows is larger. */
  static final long LANE_BYTES = 16 << 20;

  private final CudaDriver driver;
  private final long laneBytes;
  private final Lane[] lanes = new Lane[2];
  private int next;

  /**
   * @param laneBytes the largest piece
   * @param unpacked whether lanes need device memory too, where data lies until it is packed
   */
  Staging(CudaDriver driver, long laneBytes, boolean unpacked) {
    this.driver = driver;
    this.laneBytes = laneBytes;
    try {
      for (int i = 0; i < lanes.length; i++) {
        lanes[i] = new Lane(unpacked);
      }
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** Copies a tensor of any size as it is. */
  void upload(MemorySegment data, long device) {
    for (long from = 0; from < data.byteSize(); from += laneBytes) {
      MemorySegment piece = data.asSlice(from, Math.min(laneBytes, data.byteSize() - from));
      Lane lane = lane();
      lane.fill(piece);
      lane.stream.upload(device + from, lane.pinned, piece.byteSize());
    }
  }

  /** The next lane, when it is free. */
  Lane lane() {
    Lane lane = lanes[next];
    next = (next + 1) % lanes.length;
    lane.stream.synchronize();
    return lane;
  }

  /** Waits until all has arrived. */
  void finish() {
    for (Lane lane : lanes) {
      lane.stream.synchronize();
    }
  }

  @Override
  public void close() {
    for (Lane lane : lanes) {
      if (lane != null) {
        lane.close();
      }
    }
  }

  /** Pinned memory, its stream, and device memory for what is to be packed. */
  final class Lane implements AutoCloseable {
    private CudaDriver.Stream stream;
    private long pinned;
    private long unpacked;
    private MemorySegment view;

    @SuppressWarnings("restricted") // Our own memory, with the size that it was allocated with.
    private Lane(boolean withDeviceMemory) {
      try {
        stream = driver.stream();
        pinned = driver.allocatePinned(laneBytes);
        view = MemorySegment.ofAddress(pinned).reinterpret(laneBytes);
        unpacked = withDeviceMemory ? driver.allocate(laneBytes) : 0;
      } catch (RuntimeException | Error e) {
        close();
        throw e;
      }
    }

    private void fill(MemorySegment piece) {
      MemorySegment.copy(piece, 0, view, 0, piece.byteSize());
    }

    /** Brings a piece to this lane's device memory; returns its address. */
    long uploadUnpacked(MemorySegment piece) {
      fill(piece);
      stream.upload(unpacked, pinned, piece.byteSize());
      return unpacked;
    }

    /** The stream that further work on the lane's data goes to. */
    CudaDriver.Stream stream() {
      return stream;
    }

    @Override
    public void close() {
      if (stream != null) {
        stream.close();
      }
      if (unpacked != 0) {
        driver.free(unpacked);
      }
      if (pinned != 0) {
        driver.freePinned(pinned);
      }
    }
  }
}
