// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Sampling;
import dev.tokamak.backend.TokenSampler;
import dev.tokamak.backend.nativelib.CudaLibrary;
import dev.tokamak.backend.nativelib.CudaNative;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Objects;

/**
 * Tokens chosen on the device. Its memory is questions, which go to the device before the kernels
 * (how each output's token is chosen, and recent tokens of its sequence), and answers, which come
 * back (tokens, and where asked log probabilities): one copy each way. Questions and answers have a
 * twin in pinned memory.
 */
final class CudaSampler implements TokenSampler, AutoCloseable {
  static final int MOST_RECENT = 1024;

  /** Bytes of a tk_cuda_sampler, and where its fields are. */
  private static final long SAMPLER_BYTES = 80;

  private static final long SEED = 56;
  private static final long INDEX = 64;
  private static final long TOP_K = 72;
  private static final long RECENT = 76;

  /** What a step brings back: bits, all logits if no output asks for its token. */
  static final int LOGITS = 1;

  static final int TOKENS = 2;
  static final int LOG_PROBABILITIES = 4;

  /** How many sets of these bits there are. */
  static final int WANTS = 8;

  /** Where the device has what the kernels take. */
  record Addresses(
      long samplers,
      long recent,
      long tokens,
      long chosen,
      long topTokens,
      long topLogprobs,
      long scratch) {}

  private final CudaDriver driver;
  private final int tops;
  private final Besides[] asked;
  private final MemoryPlan plan = new MemoryPlan();
  private final long samplers;
  private final long recent;
  private final long tokens;
  private final long chosen;
  private final long topTokens;
  private final long topLogprobs;
  private final long exchangeBytes;
  private final long scratch;
  private long device;
  private long pinned;
  private MemorySegment view;

  /**
   * Takes its memory.
   *
   * @param outputs in a step, at most
   * @throws BackendException if that is not there, with the numbers
   */
  @SuppressWarnings("restricted") // Our own memory, with the size that it was allocated with.
  CudaSampler(CudaDriver driver, int outputs, int vocabulary) {
    this.driver = driver;
    tops = tops(vocabulary);
    asked = new Besides[outputs];
    samplers = plan.add("tokens", outputs * SAMPLER_BYTES);
    recent = plan.add("tokens", outputs * recentBytes(1));
    tokens = plan.add("tokens", (long) outputs * Integer.BYTES);
    chosen = plan.add("tokens", (long) outputs * Double.BYTES);
    topTokens = plan.add("tokens", (long) outputs * tops * Integer.BYTES);
    topLogprobs = plan.add("tokens", (long) outputs * tops * Double.BYTES);
    exchangeBytes = plan.total();
    scratch = plan.add("sampling scratch", scratchBytes(outputs, vocabulary));
    plan.require(driver.memory(), "fewer --parallel need less");
    try {
      device = driver.allocate(plan.total());
      pinned = driver.allocatePinned(exchangeBytes);
      view = MemorySegment.ofAddress(pinned).reinterpret(exchangeBytes);
      view.fill((byte) 0); // outputs that nobody asks about: their largest logit
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  private static long scratchBytes(int outputs, int vocabulary) {
    long bytes = CudaNative.tk_cuda_sample_bytes(outputs, vocabulary);
    if (bytes < 0) {
      throw new BackendException("cuda: " + CudaLibrary.lastError());
    }
    return bytes;
  }

  private static long recentBytes(int outputs) {
    return (long) outputs * MOST_RECENT * Integer.BYTES;
  }

  /** Of the likeliest tokens of a vocabulary, how many log probabilities come with. */
  static int tops(int vocabulary) {
    return Math.min(CudaNative.TK_CUDA_MOST_TOP, vocabulary);
  }

  @Override
  public int mostRecent() {
    return MOST_RECENT;
  }

  @Override
  public int tops() {
    return tops;
  }

  @Override
  public void want(int output, Sampling sampling, int[] history, int length, Besides besides) {
    int count = sampling.recent(length);
    if (count > MOST_RECENT) {
      throw new BackendException(
          "sampling: " + count + " recent tokens are more than " + MOST_RECENT);
    }
    asked[output] = besides;
    long at = samplers + output * SAMPLER_BYTES;
    view.set(JAVA_DOUBLE, at, sampling.temp());
    view.set(JAVA_DOUBLE, at + 8, sampling.topP());
    view.set(JAVA_DOUBLE, at + 16, sampling.minP());
    view.set(JAVA_DOUBLE, at + 24, sampling.typical());
    view.set(JAVA_DOUBLE, at + 32, sampling.repeatPenalty());
    view.set(JAVA_DOUBLE, at + 40, sampling.presencePenalty());
    view.set(JAVA_DOUBLE, at + 48, sampling.frequencyPenalty());
    view.set(JAVA_LONG, at + SEED, sampling.seed());
    view.set(JAVA_LONG, at + INDEX, length);
    view.set(JAVA_INT, at + TOP_K, sampling.topK());
    view.set(JAVA_INT, at + RECENT, count);
    MemorySegment.copy(
        history, length - count, view, JAVA_INT, recent + recentBytes(output), count);
  }

  /** What a step of so many outputs brings back, in bits. */
  int wanted(int outputs) {
    int wanted = 0;
    for (int output = 0; output < outputs; output++) {
      wanted |=
          switch (asked[output]) {
            case null -> LOGITS;
            case NOTHING -> TOKENS;
            case LOG_PROBABILITIES -> TOKENS | LOG_PROBABILITIES;
            case LOGITS -> TOKENS | LOGITS;
          };
    }
    return wanted;
  }

  /** After a step, whatever became of it. */
  void forget() {
    Arrays.fill(asked, null);
  }

  /** Queues questions, the kernels that answer them, and the answers, of so many outputs. */
  void answer(CudaDriver.Stream stream, CudaStep step, int outputs, boolean logProbabilities) {
    stream.upload(device, pinned, recent + recentBytes(outputs));
    step.sample(
        new Addresses(
            device + samplers,
            device + recent,
            device + tokens,
            device + chosen,
            device + topTokens,
            device + topLogprobs,
            device + scratch),
        logProbabilities);
    long bytes =
        logProbabilities ? exchangeBytes - tokens : (long) outputs * Integer.BYTES;
    stream.download(pinned + tokens, device + tokens, bytes);
  }

  @Override
  public int token(int output) {
    return view.get(JAVA_INT, tokens + (long) output * Integer.BYTES);
  }

  @Override
  public double logProbability(int output) {
    return view.get(JAVA_DOUBLE, chosen + (long) output * Double.BYTES);
  }

  @Override
  public int topToken(int output, int rank) {
    return view.get(JAVA_INT, topTokens + index(output, rank) * Integer.BYTES);
  }

  @Override
  public double topLogProbability(int output, int rank) {
    return view.get(JAVA_DOUBLE, topLogprobs + index(output, rank) * Double.BYTES);
  }

  private long index(int output, int rank) {
    return (long) output * tops + Objects.checkIndex(rank, tops);
  }

  /** Bytes on the device. */
  long bytes() {
    return plan.total();
  }

  @Override
  public void close() {
    if (device != 0) {
      driver.free(device);
      device = 0;
    }
    if (pinned != 0) {
      driver.freePinned(pinned);
      pinned = 0;
    }
  }
}
