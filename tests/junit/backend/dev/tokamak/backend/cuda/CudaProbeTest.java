// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.backend.Backends;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

/** Each thing that may be wrong with a machine is said in one line. */
class CudaProbeTest {
  private final FakeMachine machine = new FakeMachine();

  private String obstacle() {
    return new CudaProbe(machine).obstacle().map(CudaObstacle::message).orElse("none");
  }

  private static Backends.Options options(String backend) {
    return new Backends.Options(backend, OptionalInt.empty(), Optional.empty(), false);
  }

  @Test
  void aMachineWithADeviceIsRight() {
    assertThat(obstacle()).isEqualTo("none");
  }

  @Test
  void withoutTheLibraryNothingElseIsAsked() {
    machine.libraryObstacle = Optional.of("the library is not there");
    machine.devices = null;
    assertThat(obstacle()).isEqualTo("the library is not there");
  }

  @Test
  void noDriver() {
    machine.error = 35;
    machine.driverVersion = 0;
    assertThat(obstacle())
        .isEqualTo(
            "no NVIDIA driver on this machine, expected one for CUDA 13.0 or later");
  }

  @Test
  void driverTooOld() {
    machine.error = 35;
    machine.driverVersion = 12080;
    assertThat(obstacle())
        .isEqualTo("the NVIDIA driver is for CUDA 12.8, expected one for CUDA 13.0 or later");
  }

  @Test
  void driverWithoutDevice() {
    machine.error = 100;
    assertThat(obstacle()).startsWith("the NVIDIA driver shows no GPU");
  }

  @Test
  void noDevicesCounted() {
    machine.devices.clear();
    assertThat(obstacle()).startsWith("the NVIDIA driver shows no GPU");
  }

  @Test
  void cudaDoesNotStart() {
    machine.error = 804;
    machine.errorMessage = "forward compatibility was attempted on non supported HW";
    assertThat(obstacle())
        .isEqualTo(
            "CUDA does not start: error 804 (forward compatibility was attempted on non supported"
                + " HW)");
  }

  @Test
  void capabilityTooLow() {
    machine.devices =
        List.of(new CudaMachine.Properties("Tesla T4", 75, 40, 16L << 30, 15L << 30));
    assertThat(obstacle())
        .isEqualTo("Tesla T4 has compute capability 7.5, expected 8.0 or higher");
    assertThat(machine.selfTests).isZero();
  }

  @Test
  void selfTestWrong() {
    machine.selfTestDifference = Optional.of("value 7 is 3, expected 4");
    assertThat(obstacle()).isEqualTo("the self test fails on GPU A: value 7 is 3, expected 4");
  }

  @Test
  void runtimeClassesMissing() {
    machine.linkage = Optional.of(new UnsatisfiedLinkError("libcudart.so.13: not found"));
    assertThat(obstacle())
        .isEqualTo("the CUDA runtime does not load: libcudart.so.13: not found");
    machine.linkage = Optional.of(new NoClassDefFoundError("org/bytedeco/cuda/global/cudart"));
    assertThat(obstacle())
        .isEqualTo("the CUDA runtime does not load: org/bytedeco/cuda/global/cudart");
  }

  @Test
  void theFirstDeviceThatIsRightIsTaken() {
    machine.devices =
        List.of(
            new CudaMachine.Properties("old", 75, 40, 16L << 30, 15L << 30),
            new CudaMachine.Properties("new", 89, 128, 24L << 30, 23L << 30),
            new CudaMachine.Properties("other", 89, 128, 24L << 30, 23L << 30));
    CudaProbe probe = new CudaProbe(machine);
    assertThat(probe.obstacle()).isEmpty();
    assertThat(probe.device().orElseThrow().properties().name()).isEqualTo("new");
    assertThat(probe.devices()).extracting(CudaProbe.Device::name)
        .containsExactly("old", "new", "other");
    assertThat(probe.devices().getFirst().obstacle().orElseThrow())
        .isEqualTo(new CudaObstacle.CapabilityTooLow("old", 75, 80));
    assertThat(machine.selfTests).isEqualTo(1);
  }

  @Test
  void anEmulatedDeviceIsNeverChosenByItself() {
    CudaProbe probe = new CudaProbe(machine);
    assertThat(CudaBackend.obstacle(probe, options("auto"), List.of()))
        .contains(new CudaObstacle.OnlyEmulated());
    assertThat(CudaBackend.obstacle(probe, options("cuda"), List.of())).isEmpty();
    machine.emulated = false;
    assertThat(CudaBackend.obstacle(new CudaProbe(machine), options("auto"), List.of()))
        .isEmpty();
  }
}
