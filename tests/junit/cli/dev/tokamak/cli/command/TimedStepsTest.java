// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.model.Inference;
import dev.tokamak.model.Model;
import dev.tokamak.testing.TestData;
import org.junit.jupiter.api.Test;

/** What is timed lies behind the depth, each time anew. */
class TimedStepsTest {
  private static final int DEPTH = 37;
  private static final int ROOM = 5;

  @Test
  void stepsBeginBehindTheDepth() {
    try (Model model = Model.open(TestData.path("models/stories260K-F32.gguf"));
        Inference inference =
            model.prepare(
                new Inference.Shape(DEPTH + ROOM, 8, 2, 2, model.defaultCacheType()))) {
      var steps = new TimedSteps(inference, model.architecture().vocabulary(), 2, DEPTH, 1);
      for (int i = 0; i < 2; i++) {
        assertThat(steps.prefill(ROOM)).isPositive();
        assertThat(steps.decode(ROOM)).isPositive();
        assertThat(inference.length(0)).isEqualTo(DEPTH);
        assertThat(inference.length(1)).isEqualTo(DEPTH);
      }
      assertThatThrownBy(() -> steps.prefill(ROOM + 1)).hasMessageContaining("context full");
      assertThatThrownBy(() -> steps.decode(1)).hasMessageContaining("context full");
    }
  }
}
