// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.tokamak.model.Inference;
import dev.tokamak.model.Model;
import dev.tokamak.testing.Allocations;
import dev.tokamak.testing.TinyModel;
import org.junit.jupiter.api.Test;

class AllocationTest {
  private static final int STEPS = 1000;
  private static final int ROUNDS = 20;

  /** A thousand steps, forward and sample, take nothing from the Java heap. */
  @Test
  void aStepAllocatesNothing() {
    assumeTrue(Models.backends().contains("cpu"), "no cpu backend on this machine");
    try (Model model = Models.tiny("cpu");
        Inference inference =
            model.prepare(new Inference.Shape(128, 1, 1, 1, model.defaultCacheType()))) {
      Steps steps = new Steps(inference);
      long allocated = -1;
      // Until what is compiled, whenever that is, allocates no more.
      for (int round = 0; round < ROUNDS && allocated != 0; round++) {
        long before = Allocations.bytes();
        steps.run(STEPS);
        allocated = Allocations.bytes() - before;
      }
      assertThat(allocated).isZero();
    }
  }

  private static final class Steps {
    private final Inference inference;
    private final Sampler sampler = new Sampler(TinyModel.VOCABULARY);
    private final SamplerOptions options = SamplerOptions.defaults().withRepeatPenalty(1.1);
    private final float[] logits = new float[TinyModel.VOCABULARY];
    private final int[] history = new int[128];
    private final int sequence;

    Steps(Inference inference) {
      this.inference = inference;
      sequence = inference.begin();
      history[0] = 1;
    }

    void run(int count) {
      for (int i = 0; i < count; i++) {
        int length = inference.length(sequence);
        if (length == 127) {
          inference.truncate(sequence, length = 0);
        }
        inference.add(sequence, history[length]);
        int row = inference.wantLogits();
        inference.step();
        inference.logits(row, logits);
        history[length + 1] = sampler.sample(options, logits, history, length + 1);
      }
    }
  }
}
