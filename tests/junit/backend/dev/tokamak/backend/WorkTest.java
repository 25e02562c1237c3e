// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.backend.Roofline.Arithmetic;
import dev.tokamak.backend.Value.Rows;
import java.lang.foreign.Arena;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Bytes and operations of each operation, counted by hand. */
class WorkTest {
  private static final CacheShape CACHE = new CacheShape(QuantType.F16, 1, 2, 32);

  private final Arena arena = Arena.ofConfined();
  private final RandomTensors tensors = new RandomTensors(new SplittableRandom(1), arena);
  private final Program.Recorder recorder = Program.record();

  @AfterEach
  void close() {
    arena.close();
  }

  private Value value(int width) {
    return recorder.value("x", Rows.STEP, width);
  }

  /** Three rows: one of a sequence at position 4, two of another at 9 and 10; two outputs. */
  private Work work(Operation operation) {
    Batch batch = new Batch(new Limits(3, 2, 2, 1, 2), arena);
    batch.add(0, 4, 0);
    batch.wantLogits();
    batch.add(0, 9, 1);
    batch.add(0, 10, 1);
    batch.wantLogits();
    return Work.of(operation, CACHE, batch);
  }

  @Test
  void matmulReadsTheWeightsOnce() {
    Tensor weight = tensors.matrix("w", QuantType.Q4_0, 7, 64);
    int bytes = 7 * 2 * 18 + 3 * 64 * 4 + 3 * 7 * 4;
    Work plain = work(new Operation.MatMul(value(64), weight, Optional.empty(), value(7)));
    assertThat(plain).isEqualTo(new Work(bytes, 2 * 3 * 7 * 64));
    Optional<Tensor> bias = Optional.of(tensors.vector("b", 7));
    assertThat(work(new Operation.MatMul(value(64), weight, bias, value(7))))
        .isEqualTo(new Work(bytes + 28, 2 * 3 * 7 * 64 + 21));
  }

  @Test
  void aProductOfOutputsCountsThose() {
    Tensor weight = tensors.matrix("w", QuantType.F32, 7, 64);
    Value x = recorder.value("x", Rows.OUTPUTS, 64);
    Value out = recorder.value("out", Rows.OUTPUTS, 7);
    assertThat(work(new Operation.MatMul(x, weight, Optional.empty(), out)))
        .isEqualTo(new Work(4 * (7 * 64 + 2 * 64 + 2 * 7), 2 * 2 * 7 * 64));
  }

  @Test
  void attentionReadsEachSequenceOnce() {
    // 4 query heads; the sequences have 5 and 11 tokens, the rows see 5, 10 and 11.
    Work work = work(new Operation.Attention(0, value(128), 1, value(128)));
    assertThat(work.bytes()).isEqualTo(2 * 3 * 128 * 4 + 2 * 16 * 64 * 2);
    assertThat(work.operations()).isEqualTo(26 * 4 * (4 * 32 + 3));
  }

  @Test
  void rowOperations() {
    Tensor table = tensors.matrix("table", QuantType.Q8_0, 9, 32);
    assertThat(work(new Operation.Embed(table, value(32))))
        .isEqualTo(new Work(3 * 34 + 3 * 32 * 4, 0));
    Tensor weight = tensors.vector("w", 8);
    assertThat(work(new Operation.Norm(value(32), weight, 1e-5f, value(32))))
        .isEqualTo(new Work(2 * 3 * 32 * 4 + 32, 4 * 96 + 12));
    Tensor angles = tensors.matrix("angles", QuantType.F32, 12, 4);
    assertThat(work(new Operation.Rope(value(32), 8, Operation.Rope.Pairing.HALF_SPLIT, angles)))
        .isEqualTo(new Work(2 * 3 * 16 * 4 + 3 * 4 * 4, 3 * 3 * 16));
    assertThat(work(new Operation.Store(0, value(64), value(64))))
        .isEqualTo(new Work(2 * 3 * 64 * 4 + 2 * 3 * 64 * 2, 0));
    assertThat(work(new Operation.Gate(value(8), value(8), value(8))))
        .isEqualTo(new Work(3 * 24 * 4, 5 * 24));
    assertThat(work(new Operation.Add(value(8), value(8)))).isEqualTo(new Work(3 * 24 * 4, 24));
    assertThat(work(new Operation.Select(value(8), recorder.value("out", Rows.OUTPUTS, 8))))
        .isEqualTo(new Work(2 * 16 * 4, 0));
  }

  @Test
  void aMachineWithoutAKindOfArithmeticUsesFloats() {
    Roofline roofline = new Roofline(10, 20, 40, 0);
    Work work = new Work(50, 80);
    assertThat(roofline.memorySeconds(work)).isEqualTo(5);
    assertThat(roofline.arithmeticSeconds(work, Arithmetic.INT8)).isEqualTo(2);
    assertThat(roofline.arithmeticSeconds(work, Arithmetic.BFLOAT16)).isEqualTo(4);
  }
}
