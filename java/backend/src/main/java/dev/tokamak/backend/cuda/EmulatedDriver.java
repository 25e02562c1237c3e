// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import dev.tokamak.backend.nativelib.CudaLibrary;

/**
 * The device in software, for tests: kernels compiled for the host, on host memory, with the
 * functions of {@code kernels/host/emulated_driver.h} in the place of CUDA's runtime.
 */
final class EmulatedDriver implements CudaDriver {
  private static final int SUCCESS = 0;
  private static final int CAPTURE_FAILED = 901;

  static {
    String library = CudaLibrary.emulated().orElseThrow().toString();
    Native.register(EmulatedDriver.class, NativeLibrary.getInstance(library));
  }

  private static void check(int code, String call) {
    if (code != SUCCESS) {
      throw new CudaException(call, code, tk_emulated_last_error());
    }
  }

  private static void checkMemory(long address, String call) {
    check(address == 0 ? CudaException.OUT_OF_MEMORY : SUCCESS, call);
  }

  @Override
  public Memory memory() {
    return new Memory(tk_emulated_memory_free(), tk_emulated_memory_total());
  }

  @Override
  public long allocate(long bytes) {
    long address = tk_emulated_allocate(bytes);
    checkMemory(address, "allocation of " + bytes + " bytes");
    return address;
  }

  @Override
  public void free(long address) {
    tk_emulated_free(address);
  }

  @Override
  public long allocatePinned(long bytes) {
    long address = Native.malloc(bytes);
    checkMemory(address, "host memory of " + bytes + " bytes");
    return address;
  }

  @Override
  public void freePinned(long address) {
    Native.free(address);
  }

  @Override
  public Stream stream() {
    return new EmulatedStream();
  }

  @Override
  public Event event() {
    return new EmulatedEvent();
  }

  private static final class EmulatedStream implements Stream {
    private final long stream = tk_emulated_stream_create();

    @Override
    public long handle() {
      return stream;
    }

    @Override
    public void upload(long device, long pinned, long bytes) {
      check(tk_emulated_copy(stream, device, pinned, bytes), "copy of " + bytes + " bytes");
    }

    @Override
    public void download(long pinned, long device, long bytes) {
      check(tk_emulated_copy(stream, pinned, device, bytes), "copy of " + bytes + " bytes");
    }

    @Override
    public void beginCapture() {
      check(tk_emulated_capture_begin(stream), "capture");
    }

    @Override
    public Graph endCapture() {
      long graph = tk_emulated_capture_end(stream);
      check(graph == 0 ? CAPTURE_FAILED : SUCCESS, "capture");
      return new EmulatedGraph(graph);
    }

    @Override
    public void abandonCapture() {
      long graph = tk_emulated_capture_end(stream);
      if (graph != 0) {
        tk_emulated_graph_free(graph);
      }
    }

    @Override
    public void launch(Graph graph) {
      check(tk_emulated_graph_launch(((EmulatedGraph) graph).graph, stream), "launch of a graph");
    }

    @Override
    public void record(Event event) {
      synchronize();
      ((EmulatedEvent) event).nanoseconds = System.nanoTime();
    }

    @Override
    public void synchronize() {
      check(tk_emulated_synchronize(stream), "wait for a stream");
    }

    @Override
    public void close() {
      tk_emulated_stream_free(stream);
    }
  }

  private record EmulatedGraph(long graph) implements Graph {
    @Override
    public void close() {
      tk_emulated_graph_free(graph);
    }
  }

  private static final class EmulatedEvent implements Event {
    private long nanoseconds;

    @Override
    public double millisecondsSince(Event earlier) {
      return (nanoseconds - ((EmulatedEvent) earlier).nanoseconds) / 1e6;
    }

    @Override
    public void close() {}
  }

  private static native String tk_emulated_last_error();

  private static native long tk_emulated_memory_total();

  private static native long tk_emulated_memory_free();

  private static native long tk_emulated_allocate(long bytes);

  private static native int tk_emulated_free(long address);

  private static native long tk_emulated_stream_create();

  private static native int tk_emulated_stream_free(long stream);

  private static native int tk_emulated_copy(long stream, long to, long from, long bytes);

  private static native int tk_emulated_synchronize(long stream);

  private static native int tk_emulated_capture_begin(long stream);

  private static native long tk_emulated_capture_end(long stream);

  private static native int tk_emulated_graph_launch(long graph, long stream);

  private static native void tk_emulated_graph_free(long graph);
}
