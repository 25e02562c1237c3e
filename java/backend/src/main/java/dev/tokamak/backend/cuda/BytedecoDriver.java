// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.bytedeco.cuda.global.cudart.cudaEventCreate;
import static org.bytedeco.cuda.global.cudart.cudaEventDestroy;
import static org.bytedeco.cuda.global.cudart.cudaEventElapsedTime;
import static org.bytedeco.cuda.global.cudart.cudaEventRecord;
import static org.bytedeco.cuda.global.cudart.cudaEventSynchronize;
import static org.bytedeco.cuda.global.cudart.cudaFree;
import static org.bytedeco.cuda.global.cudart.cudaFreeHost;
import static org.bytedeco.cuda.global.cudart.cudaGetErrorString;
import static org.bytedeco.cuda.global.cudart.cudaGetLastError;
import static org.bytedeco.cuda.global.cudart.cudaGraphDestroy;
import static org.bytedeco.cuda.global.cudart.cudaGraphExecDestroy;
import static org.bytedeco.cuda.global.cudart.cudaGraphInstantiate;
import static org.bytedeco.cuda.global.cudart.cudaGraphLaunch;
import static org.bytedeco.cuda.global.cudart.cudaMalloc;
import static org.bytedeco.cuda.global.cudart.cudaMallocHost;
import static org.bytedeco.cuda.global.cudart.cudaMemGetInfo;
import static org.bytedeco.cuda.global.cudart.cudaMemcpyAsync;
import static org.bytedeco.cuda.global.cudart.cudaSetDevice;
import static org.bytedeco.cuda.global.cudart.cudaStreamBeginCapture;
import static org.bytedeco.cuda.global.cudart.cudaStreamCreateWithFlags;
import static org.bytedeco.cuda.global.cudart.cudaStreamDestroy;
import static org.bytedeco.cuda.global.cudart.cudaStreamEndCapture;
import static org.bytedeco.cuda.global.cudart.cudaStreamSynchronize;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.bytedeco.cuda.cudart.CUevent_st;
import org.bytedeco.cuda.cudart.CUgraphExec_st;
import org.bytedeco.cuda.cudart.CUgraph_st;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.SizeTPointer;

/**
 * The CUDA runtime, through the bindings of bytedeco. To touch this class loads libcudart, and with
 * it the driver: only after the kernels' own probe has found a device. The bindings know functions
 * that older runtimes lack, and to call one of those ends the JVM: {@code
 * tests/cases/cuda-runtime-13.0.txt} lists what may be called.
 */
final class BytedecoDriver implements CudaDriver {
  private final int device;

  /**
   * @param device its number, as CUDA counts
   * @throws LinkageError if the bindings or the runtime are missing
   */
  BytedecoDriver(int device) {
    this.device = device;
    use();
  }

  /** Makes the device the calling thread's; the kernels' copy of the runtime sees it too. */
  private void use() {
    check(cudaSetDevice(device), "cudaSetDevice");
  }

  private static void check(int code, String call) {
    if (code != cudart.cudaSuccess) {
      cudaGetLastError(); // else the next call would return it again
      BytePointer meaning = cudaGetErrorString(code);
      throw new CudaException(call, code, meaning == null ? "unknown" : meaning.getString());
    }
  }

  @Override
  public Memory memory() {
    use();
    try (Arena arena = Arena.ofConfined()) {
      // Not memory of JavaCPP's own: it gives none to a process that has more than four heaps of
      // it, and the file of a model is mapped.
      MemorySegment sizes = arena.allocate(JAVA_LONG, 2);
      check(
          cudaMemGetInfo(
              new SizeTPointer(new Address(sizes.address())),
              new SizeTPointer(new Address(sizes.address() + JAVA_LONG.byteSize()))),
          "cudaMemGetInfo");
      return new Memory(sizes.getAtIndex(JAVA_LONG, 0), sizes.getAtIndex(JAVA_LONG, 1));
    }
  }

  @Override
  public long allocate(long bytes) {
    use();
    Pointer memory = new Pointer();
    check(cudaMalloc(memory, bytes), "cudaMalloc of " + bytes + " bytes");
    return memory.address();
  }

  @Override
  public void free(long address) {
    cudaSetDevice(device);
    cudaFree(new Address(address));
  }

  @Override
  public long allocatePinned(long bytes) {
    use();
    Pointer memory = new Pointer();
    check(cudaMallocHost(memory, bytes), "cudaMallocHost of " + bytes + " bytes");
    return memory.address();
  }

  @Override
  public void freePinned(long address) {
    cudaSetDevice(device);
    cudaFreeHost(new Address(address));
  }

  @Override
  public Stream stream() {
    use();
    return new RuntimeStream();
  }

  @Override
  public Event event() {
    use();
    return new RuntimeEvent();
  }

  /** An address that the bindings take for an object. */
  private static final class Address extends Pointer {
    Address(long value) {
      address = value;
    }
  }

  private final class RuntimeStream implements Stream {
    private final CUstream_st stream = new CUstream_st();

    RuntimeStream() {
      check(
          cudaStreamCreateWithFlags(stream, cudart.cudaStreamNonBlocking),
          "cudaStreamCreateWithFlags");
    }

    @Override
    public long handle() {
      return stream.address();
    }

    @Override
    public void upload(long device, long pinned, long bytes) {
      copy(device, pinned, bytes, cudart.cudaMemcpyHostToDevice);
    }

    @Override
    public void download(long pinned, long device, long bytes) {
      copy(pinned, device, bytes, cudart.cudaMemcpyDeviceToHost);
    }

    private void copy(long to, long from, long bytes, int kind) {
      use();
      check(
          cudaMemcpyAsync(new Address(to), new Address(from), bytes, kind, stream),
          "cudaMemcpyAsync of " + bytes + " bytes");
    }

    @Override
    public void beginCapture() {
      use();
      // Relaxed: the first launch of a kernel may load its code, which stricter modes forbid.
      check(
          cudaStreamBeginCapture(stream, cudart.cudaStreamCaptureModeRelaxed),
          "cudaStreamBeginCapture");
    }

    @Override
    public Graph endCapture() {
      CUgraph_st graph = new CUgraph_st();
      check(cudaStreamEndCapture(stream, graph), "cudaStreamEndCapture");
      try {
        return new RuntimeGraph(graph);
      } finally {
        cudaGraphDestroy(graph);
      }
    }

    @Override
    public void abandonCapture() {
      CUgraph_st graph = new CUgraph_st();
      cudaStreamEndCapture(stream, graph);
      if (!graph.isNull()) {
        cudaGraphDestroy(graph);
      }
      cudaGetLastError();
    }

    @Override
    public void launch(Graph graph) {
      use();
      check(cudaGraphLaunch(((RuntimeGraph) graph).executable, stream), "cudaGraphLaunch");
    }

    @Override
    public void record(Event event) {
      use();
      check(cudaEventRecord(((RuntimeEvent) event).event, stream), "cudaEventRecord");
    }

    @Override
    public void synchronize() {
      check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    }

    @Override
    public void close() {
      cudaStreamDestroy(stream);
    }
  }

  private static final class RuntimeGraph implements Graph {
    private final CUgraphExec_st executable = new CUgraphExec_st();

    RuntimeGraph(CUgraph_st graph) {
      check(cudaGraphInstantiate(executable, graph), "cudaGraphInstantiate");
    }

    @Override
    public void close() {
      cudaGraphExecDestroy(executable);
    }
  }

  private static final class RuntimeEvent implements Event {
    private final CUevent_st event = new CUevent_st();

    RuntimeEvent() {
      check(cudaEventCreate(event), "cudaEventCreate");
    }

    @Override
    public double millisecondsSince(Event earlier) {
      check(cudaEventSynchronize(event), "cudaEventSynchronize");
      float[] milliseconds = new float[1];
      check(
          cudaEventElapsedTime(milliseconds, ((RuntimeEvent) earlier).event, event),
          "cudaEventElapsedTime");
      return milliseconds[0];
    }

    @Override
    public void close() {
      cudaEventDestroy(event);
    }
  }
}
