// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * A driver that counts what is taken and given back, and fails where a test wants it to. The work
 * itself is another driver's.
 */
final class FakeDriver implements CudaDriver {
  private final Optional<CudaDriver> real;
  private final Map<String, Integer> open = new HashMap<>();
  private int calls;
  private int failingCall = Integer.MAX_VALUE;
  private int failure;
  private boolean stays;

  /** What is told of the device's memory; empty: what the other driver says. */
  Optional<Memory> memory = Optional.empty();

  /**
   * @param real does the work; empty: there will be none
   */
  FakeDriver(Optional<CudaDriver> real) {
    this.real = real;
  }

  /**
   * From now on one call fails.
   *
   * @param call which one, from 1
   * @param code CUDA's error
   * @param stays whether all calls after it fail in the same way
   */
  void failAt(int call, int code, boolean stays) {
    calls = 0;
    failingCall = call;
    failure = code;
    this.stays = stays;
  }

  /** Nothing fails any more. */
  void recover() {
    failingCall = Integer.MAX_VALUE;
  }

  /** Calls since the last {@link #failAt}. */
  int calls() {
    return calls;
  }

  /** What was taken and is not given back yet. */
  Map<String, Integer> open() {
    Map<String, Integer> left = new HashMap<>(open);
    left.values().removeIf(count -> count == 0);
    return left;
  }

  private void call(String name) {
    calls++;
    if (calls == failingCall || stays && calls > failingCall) {
      throw new CudaException(name, failure, "as the test wants");
    }
  }

  private <T> T taken(String what, T it) {
    open.merge(what, 1, Integer::sum);
    return it;
  }

  private void given(String what) {
    open.merge(what, -1, Integer::sum);
  }

  @Override
  public Memory memory() {
    call("memory");
    return memory.orElseGet(() -> real.orElseThrow().memory());
  }

  @Override
  public long allocate(long bytes) {
    call("allocate");
    return taken("device memory", real.orElseThrow().allocate(bytes));
  }

  @Override
  public void free(long address) {
    given("device memory");
    real.orElseThrow().free(address);
  }

  @Override
  public long allocatePinned(long bytes) {
    call("allocatePinned");
    return taken("pinned memory", real.orElseThrow().allocatePinned(bytes));
  }

  @Override
  public void freePinned(long address) {
    given("pinned memory");
    real.orElseThrow().freePinned(address);
  }

  @Override
  public Stream stream() {
    call("stream");
    return taken("stream", new FakeStream(real.orElseThrow().stream()));
  }

  @Override
  public Event event() {
    return real.orElseThrow().event();
  }

  private final class FakeStream implements Stream {
    private final Stream stream;

    FakeStream(Stream stream) {
      this.stream = stream;
    }

    @Override
    public long handle() {
      return stream.handle();
    }

    @Override
    public void upload(long device, long pinned, long bytes) {
      call("upload");
      stream.upload(device, pinned, bytes);
    }

    @Override
    public void download(long pinned, long device, long bytes) {
      call("download");
      stream.download(pinned, device, bytes);
    }

    @Override
    public void beginCapture() {
      call("beginCapture");
      stream.beginCapture();
    }

    @Override
    public Graph endCapture() {
      call("endCapture");
      return taken("graph", new FakeGraph(stream.endCapture()));
    }

    @Override
    public void abandonCapture() {
      stream.abandonCapture();
    }

    @Override
    public void launch(Graph graph) {
      call("launch");
      stream.launch(((FakeGraph) graph).graph);
    }

    @Override
    public void record(Event event) {
      stream.record(event);
    }

    @Override
    public void synchronize() {
      call("synchronize");
      stream.synchronize();
    }

    @Override
    public void close() {
      given("stream");
      stream.close();
    }
  }

  private final class FakeGraph implements Graph {
    private final Graph graph;

    FakeGraph(Graph graph) {
      this.graph = graph;
    }

    @Override
    public void close() {
      given("graph");
      graph.close();
    }
  }
}
