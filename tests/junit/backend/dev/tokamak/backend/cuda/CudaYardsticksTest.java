// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;
import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Roofline;
import dev.tokamak.backend.nativelib.CudaLibrary;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What kernels are compared with, measured on the emulated device: the figures mean nothing. */
class CudaYardsticksTest {
  private static final CudaRoofline.Size TINY = new CudaRoofline.Size(1 << 16, 1 << 12, 2, 2, 2);

  private FakeDriver driver;
  private CudaDevice device;

  @BeforeEach
  void theEmulatedDeviceIsThere() {
    assumeTrue(
        CudaLibrary.emulated().isPresent(),
        "the property " + CudaLibrary.EMULATION + " is not set");
    driver = new FakeDriver(Optional.of(new EmulatedDriver()));
    var properties = new CudaMachine.Properties("GPU A", 90, 2, 1L << 30, 1L << 30);
    device = new CudaDevice(properties, true, driver);
  }

  /** A cuBLAS that notes what it is asked, and fails where a test wants it to. */
  private static final class FakeCublas implements Cublas.Functions {
    final List<String> called = new ArrayList<>();
    final List<Object[]> products = new ArrayList<>();
    String failing = "";

    @Override
    public int call(String name, Object... arguments) {
      called.add(name);
      if (name.equals("cublasCreate_v2")) {
        ((PointerByReference) arguments[0]).setValue(new Pointer(77));
      } else {
        assertThat(arguments[0]).isEqualTo(new Pointer(77));
      }
      if (name.equals("cublasGemmEx")) {
        products.add(arguments);
      }
      return name.equals(failing) ? 13 : 0;
    }
  }

  @Test
  void eachPartOfTheRooflineIsMeasuredAndAllMemoryGivenBack() {
    Roofline roofline = CudaRoofline.measure(device, TINY).orElseThrow();
    assertThat(roofline.bytesPerSecond()).isPositive().isFinite();
    assertThat(roofline.floatOps()).isPositive().isFinite();
    assertThat(roofline.bf16Ops()).isPositive().isFinite();
    assertThat(roofline.int8Ops()).isZero();
    assertThat(roofline.peak(Roofline.Arithmetic.BFLOAT16_X2)).isEqualTo(roofline.bf16Ops() / 2);
    assertThat(roofline.peak(Roofline.Arithmetic.BFLOAT16_X3)).isEqualTo(roofline.bf16Ops() / 3);
    assertThat(driver.open()).isEmpty();
  }

  @Test
  void withTooLittleMemoryThereIsNoRoofline() {
    driver.memory = Optional.of(new CudaDriver.Memory((1 << 13) - 32, 1L << 30));
    assertThat(CudaRoofline.measure(device, TINY)).isEmpty();
    assertThat(driver.open()).isEmpty();
  }

  @Test
  void withoutCublasThereIsAReason() {
    assertThat(Cublas.load(List.of("libcublas.so.0", "cublas-of-nobody"))).isEmpty();
    var cublas = new Cublas(Optional.empty());
    assertThat(cublas.seconds(device, QuantType.F16, 1, 32, 16)).isEmpty();
    assertThat(cublas.obstacle())
        .contains(
            "libcublas is not installed: looked for libcublas.so.13, libcublas.so.12, cublas");
  }

  @Test
  void anEmulatedDeviceHasNoYardsticks() {
    var machine = new FakeMachine();
    machine.driver = driver;
    try (var backend = new CudaBackend(new CudaProbe(machine))) {
      assertThat(backend.emulated()).isTrue();
      assertThat(backend.roofline()).isEmpty();
      assertThat(backend.yardstickSeconds(QuantType.F32, 1, 32, 16)).isEmpty();
      assertThat(backend.yardstickObstacle()).contains("the device is emulated");
    }
  }

  @Test
  void cublasIsAskedForTheProductOfAStep() {
    var fake = new FakeCublas();
    var cublas = new Cublas(Optional.of(fake));
    assertThat(cublas.seconds(device, QuantType.BF16, 3, 64, 1024).orElseThrow()).isNotNegative();
    assertThat(cublas.obstacle()).isEmpty();
    assertThat(fake.called).startsWith("cublasCreate_v2", "cublasSetStream_v2", "cublasGemmEx");
    assertThat(fake.called.getLast()).isEqualTo("cublasDestroy_v2");
    // one to warm up, then one of each copy of the weights
    assertThat(fake.products).hasSize(1 + 256);
    Object[] product = fake.products.getLast();
    assertThat(List.of(product).subList(1, 6)).isEqualTo(List.of(1, 0, 1024, 3, 64));
    assertThat(List.of(product[8], product[9])).isEqualTo(List.of(14, 64));
    assertThat(List.of(product[11], product[12])).isEqualTo(List.of(14, 64));
    assertThat(List.of(product[15], product[16], product[17], product[18]))
        .isEqualTo(List.of(0, 1024, 68, -1));
    assertThat(fake.products.get(1)[7]).isNotEqualTo(product[7]);
    assertThat(driver.open()).isEmpty();
  }

  @Test
  void quantisedProductsHaveNoYardstick() {
    var fake = new FakeCublas();
    assertThat(new Cublas(Optional.of(fake)).seconds(device, QuantType.Q8_0, 1, 32, 16)).isEmpty();
    assertThat(fake.called).isEmpty();
  }

  @Test
  void whatCublasRefusesIsNamedAndNothingIsKept() {
    for (String function : List.of("cublasCreate_v2", "cublasSetStream_v2", "cublasGemmEx")) {
      var fake = new FakeCublas();
      fake.failing = function;
      var cublas = new Cublas(Optional.of(fake));
      assertThat(cublas.seconds(device, QuantType.F32, 1, 32, 16)).isEmpty();
      assertThat(cublas.obstacle()).contains("cuBLAS: " + function + ": status 13");
      assertThat(fake.called.contains("cublasDestroy_v2"))
          .isEqualTo(!function.equals("cublasCreate_v2"));
      assertThat(driver.open()).isEmpty();
    }
  }
}
