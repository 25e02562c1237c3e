// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.Backends;
import dev.tokamak.backend.CacheShape;
import dev.tokamak.backend.Limits;
import dev.tokamak.backend.Operation;
import dev.tokamak.backend.Program;
import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Replay;
import dev.tokamak.backend.Roofline;
import dev.tokamak.backend.Roofline.Arithmetic;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.nativelib.CudaLibrary;
import dev.tokamak.backend.train.TrainingProgram;
import dev.tokamak.backend.train.TrainingReplay;
import dev.tokamak.backend.train.TrainingShape;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;

/**
 * The kernels of {@code tokamak_cuda.h} on an NVIDIA GPU: a program becomes a graph, a step is one
 * launch. All backends of a process share the device.
 */
public final class CudaBackend implements Backend {
  private final CudaDevice device;
  private Optional<Cublas> cublas = Optional.empty();

  /** Opens it; {@link #obstacle} must have found none. */
  public CudaBackend() {
    this(CudaProbe.ofMachine());
  }

  CudaBackend(CudaProbe probe) {
    device = probe.device().orElseThrow();
  }

  /**
   * Why it cannot run, on this machine and with these weights; empty: it can.
   *
   * @param weights that a model needs on the device
   */
  public static Optional<CudaObstacle> obstacle(Backends.Options options, List<Tensor> weights) {
    return obstacle(CudaProbe.ofMachine(), options, weights);
  }

  static Optional<CudaObstacle> obstacle(
      CudaProbe probe, Backends.Options options, List<Tensor> weights) {
    if (probe.obstacle().isPresent()) {
      return probe.obstacle();
    }
    CudaDevice device = probe.device().orElseThrow();
    if (device.emulated() && options.backend().equals(Backends.AUTO)) {
      return Optional.of(new CudaObstacle.OnlyEmulated());
    }
    return weights.isEmpty() ? Optional.empty() : roomFor(device, weights);
  }

  private static Optional<CudaObstacle> roomFor(CudaDevice device, List<Tensor> weights) {
    long need = MemoryPlan.RESERVE;
    for (Tensor weight : weights) {
      OptionalLong bytes = CudaKernels.packedBytes(weight, weight.rows());
      if (bytes.isEmpty()) {
        return Optional.of(
            new CudaObstacle.WeightsNotSupported(weight + ": " + CudaLibrary.lastError()));
      }
      need += CudaKernels.aligned(bytes.getAsLong());
    }
    try {
      long free = device.driver().memory().freeBytes();
      return free >= need
          ? Optional.empty()
          : Optional.of(
              new CudaObstacle.TooLittleMemory(device.properties().name(), free, need));
    } catch (CudaException e) {
      device.failed(e);
      return Optional.of(new CudaObstacle.CudaFails(e.code(), e.meaning()));
    }
  }

  @Override
  public String name() {
    return "cuda";
  }

  @Override
  public String variant() {
    String kind = device.emulated() ? "emulated" : "sm_" + device.properties().capability();
    return name() + "/" + kind;
  }

  @Override
  public String description() {
    CudaMachine.Properties p = device.properties();
    return p.name() + ", compute capability " + p.capability() / 10 + "." + p.capability() % 10
        + ", " + MemoryPlan.size(p.memoryBytes());
  }

  @Override
  public Weights load(List<Tensor> matrices, Progress progress) {
    return new CudaWeights(device, matrices, progress);
  }

  @Override
  public Replay prepare(Program program, Weights weights, Limits limits) {
    return new CudaReplay(
        device, program, Launch.fused(program), (CudaWeights) weights, limits);
  }

  @Override
  public TrainingReplay prepare(TrainingProgram program, TrainingShape shape) {
    return new CudaTraining(device, program, shape);
  }

  /** Of the device; of an emulated one it would tell nothing. */
  @Override
  public Optional<Roofline> roofline() {
    return emulated()
        ? Optional.empty()
        : CudaRoofline.measure(device, CudaRoofline.Size.OF_DEVICE);
  }

  /**
   * Products are made of bfloat16 parts on tensor cores (kernels/include/parts.cuh): two, where
   * weights or cache are exact in bfloat16, as are the whole numbers of quantised weights; else
   * three.
   */
  @Override
  public Arithmetic arithmetic(QuantType weights) {
    return switch (weights) {
      case F32, F16 -> Arithmetic.BFLOAT16_X3;
      case BF16, Q8_0, Q4_0, Q4_K, Q5_K, Q6_K -> Arithmetic.BFLOAT16_X2;
    };
  }

  @Override
  public Arithmetic arithmetic(Operation operation, CacheShape cache) {
    return switch (operation) {
      case Operation.MatMul product -> arithmetic(product.weight().type());
      case Operation.Attention _ ->
          cache.type() == QuantType.BF16 ? Arithmetic.BFLOAT16_X2 : Arithmetic.BFLOAT16_X3;
      default -> Arithmetic.FLOAT32;
    };
  }

  @Override
  public boolean emulated() {
    return device.emulated();
  }

  /** Of cuBLAS, for F32, F16 and BF16; never beside an emulated device. */
  @Override
  public OptionalDouble yardstickSeconds(QuantType type, int rows, long cols, long outDim) {
    if (emulated()) {
      return OptionalDouble.empty();
    }
    if (cublas.isEmpty()) {
      cublas = Optional.of(new Cublas(Cublas.load(Cublas.NAMES)));
    }
    return cublas.get().seconds(device, type, rows, cols, outDim);
  }

  @Override
  public Optional<String> yardstickObstacle() {
    return emulated() ? Optional.of("the device is emulated") : cublas.flatMap(Cublas::obstacle);
  }

  @Override
  public OptionalLong freeBytes() {
    return OptionalLong.of(device.driver().memory().freeBytes());
  }

  /** Nothing to free: the device is the process's, its memory belongs to weights and replays. */
  @Override
  public void close() {}
}
