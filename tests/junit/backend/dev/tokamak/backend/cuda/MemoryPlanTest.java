// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.backend.BackendException;
import org.junit.jupiter.api.Test;

class MemoryPlanTest {
  @Test
  void partsFollowEachOtherAligned() {
    MemoryPlan plan = new MemoryPlan();
    assertThat(plan.add("activations", 1)).isZero();
    assertThat(plan.add("activations", 257)).isEqualTo(256);
    assertThat(plan.add("cache", 1000)).isEqualTo(768);
    assertThat(plan.total()).isEqualTo(1792);
    assertThat(plan).hasToString("activations 768 B + cache 1.02 kB = 1.79 kB");
  }

  @Test
  void whatDoesNotFitIsRefusedWithTheNumbers() {
    MemoryPlan plan = new MemoryPlan();
    plan.add("activations", 100_000_000);
    plan.add("cache", 2_000_000_000);
    long need = plan.total() + MemoryPlan.RESERVE;
    assertThatCode(() -> plan.require(new CudaDriver.Memory(need, 8L << 30), "buy more"))
        .doesNotThrowAnyException();
    assertThatThrownBy(() -> plan.require(new CudaDriver.Memory(need - 1, 8L << 30), "buy more"))
        .isInstanceOf(BackendException.class)
        .hasMessage(
            "cuda: not enough device memory: activations 100 MB + cache 2.00 GB = 2.10 GB, 2.17 GB"
                + " free of 8.59 GB, 67.1 MB of it for CUDA itself; buy more");
  }

  @Test
  void anOverflowIsNoSmallPlan() {
    MemoryPlan plan = new MemoryPlan();
    plan.add("cache", Long.MAX_VALUE - 1000);
    assertThatThrownBy(() -> plan.add("cache", 2000)).isInstanceOf(ArithmeticException.class);
  }

  @Test
  void bucketsArePowersOfTwoUpToTheLimit() {
    assertThat(Buckets.count(1)).isEqualTo(1);
    assertThat(Buckets.count(40)).isEqualTo(7);
    int[] sizes = new int[7];
    for (int bucket = 0; bucket < 7; bucket++) {
      sizes[bucket] = Buckets.size(bucket, 40);
    }
    assertThat(sizes).containsExactly(1, 2, 4, 8, 16, 32, 40);
    for (int n = 1; n <= 40; n++) {
      assertThat(Buckets.size(Buckets.of(n), 40)).isGreaterThanOrEqualTo(n);
      assertThat(n == 1 || Buckets.size(Buckets.of(n) - 1, 40) < n).isTrue();
    }
  }
}
