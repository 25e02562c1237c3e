// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

/**
 * What the backend needs of a CUDA device besides kernels: memory, streams, copies, graphs, time.
 * One device; addresses are plain numbers, as the kernels take them. Calls that fail throw a {@link
 * CudaException}; those that free never do, since what a dead device held is gone with it. Any
 * thread may call; a stream is used by one thread at a time.
 */
public interface CudaDriver {
  /**
   * The device's memory, now.
   *
   * @param freeBytes that an allocation could still have
   */
  record Memory(long freeBytes, long totalBytes) {}

  Memory memory();

  /** So many bytes of device memory, aligned to 256 bytes at least; their content is undefined. */
  long allocate(long bytes);

  /** Frees what {@link #allocate} gave. */
  void free(long address);

  /** So many bytes of host memory that stay where they are, so that copies need not wait. */
  long allocatePinned(long bytes);

  /** Frees what {@link #allocatePinned} gave. */
  void freePinned(long address);

  /** A new stream, which waits for no other; never the default one. */
  Stream stream();

  /** A new event. */
  Event event();

  /** A queue of work on the device, done in order. */
  interface Stream extends AutoCloseable {
    /** The cudaStream_t, for kernels. */
    long handle();

    /** Copies from pinned memory to the device. */
    void upload(long device, long pinned, long bytes);

    /** Copies from the device to pinned memory. */
    void download(long pinned, long device, long bytes);

    /** From here on work is recorded instead of done. */
    void beginCapture();

    /** Ends the recording. */
    Graph endCapture();

    /** Ends a recording that went wrong, whatever state it is in; never throws. */
    void abandonCapture();

    /** Queues all work of a graph that was captured from this driver. */
    void launch(Graph graph);

    /** Queues a mark of time. */
    void record(Event event);

    /** Waits for all work queued; what went wrong in it is thrown here. */
    void synchronize();

    @Override
    void close();
  }

  /** Recorded work, to be launched any number of times. */
  interface Graph extends AutoCloseable {
    @Override
    void close();
  }

  /** A mark in a stream. */
  interface Event extends AutoCloseable {
    /** Waits for this event, then gives the time since an earlier one. */
    double millisecondsSince(Event earlier);

    @Override
    void close();
  }
}
