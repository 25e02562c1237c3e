// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.tokamak.backend.cuda.CudaBackend;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class BackendsTest {
  private static Backends.Options options(String backend, String level) {
    return new Backends.Options(
        backend,
        OptionalInt.of(1),
        level.isEmpty() ? Optional.empty() : Optional.of(level),
        false);
  }

  @Test
  void theReferenceRunsEverywhere() {
    Backends.Choice choice = Backends.open(options("reference", ""));
    assertThat(choice.backend().name()).isEqualTo("reference");
    assertThat(choice.reason()).isEqualTo("asked for");
    choice.backend().close();
  }

  @Test
  void anUnknownNameIsRefusedWithTheKnownOnes() {
    assertThatThrownBy(() -> Backends.open(options("gpu", "")))
        .isInstanceOf(BackendException.class)
        .hasMessage("backend 'gpu' is not known: expected auto, cuda, cpu, reference");
  }

  @Test
  void autoFallsBackAndSaysWhy() {
    assumeThat(CudaBackend.obstacle(options("auto", ""), List.of()))
        .as("a GPU comes before all")
        .isPresent();
    Backends.Choice choice = Backends.open(options("auto", "no such level"));
    assertThat(choice.backend().name()).isEqualTo("reference");
    assertThat(choice.reason()).startsWith("cuda cannot run: ").contains("; cpu cannot run: ");
    choice.backend().close();
  }

  @Test
  void theBackendAskedForDoesNotFallBack() {
    assertThatThrownBy(() -> Backends.open(options("cpu", "no such level")))
        .isInstanceOf(BackendException.class)
        .hasMessageStartingWith("cpu cannot run: ");
  }

  @Test
  void threadsAreBounded() {
    assertThatThrownBy(
            () -> new Backends.Options("auto", OptionalInt.of(0), Optional.empty(), false))
        .hasMessage("threads=0: expected 1 to 1024");
  }
}
