// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import dev.tokamak.backend.BackendException;
import java.util.Optional;

/** A device that passed the probe: what it is, its driver, and whether it still works. */
final class CudaDevice {
  private final CudaMachine.Properties properties;
  private final boolean emulated;
  private final CudaDriver driver;
  private volatile Optional<CudaException> lost = Optional.empty();

  CudaDevice(CudaMachine.Properties properties, boolean emulated, CudaDriver driver) {
    this.properties = properties;
    this.emulated = emulated;
    this.driver = driver;
  }

  CudaMachine.Properties properties() {
    return properties;
  }

  boolean emulated() {
    return emulated;
  }

  CudaDriver driver() {
    return driver;
  }

  /** What ended it, if anything has. */
  Optional<CudaException> lost() {
    return lost;
  }

  /**
   * Before any work.
   *
   * @throws BackendException if the device failed earlier
   */
  void requireAlive() {
    if (lost.isPresent()) {
      throw new BackendException(
          "cuda: " + new CudaObstacle.DeviceLost(lost.get().getMessage()).message(), lost.get());
    }
  }

  /** Takes note of a failure: after a fatal one no work is begun any more. */
  void failed(CudaException e) {
    if (e.fatal() && lost.isEmpty()) {
      lost = Optional.of(e);
    }
  }
}
