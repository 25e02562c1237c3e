// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** A machine as a test wants it; as it is made, everything is right. */
final class FakeMachine implements CudaMachine {
  Optional<String> libraryObstacle = Optional.empty();
  Optional<String> selfTestDifference = Optional.empty();
  Optional<LinkageError> linkage = Optional.empty();
  boolean emulated = true;
  int error;
  String errorMessage = "";
  int driverVersion = 13000;
  List<Properties> devices =
      new ArrayList<>(List.of(new Properties("GPU A", 90, 132, 80L << 30, 79L << 30)));
  CudaDriver driver = new FakeDriver(Optional.empty());
  int selfTests;

  @Override
  public Optional<String> libraryObstacle() {
    return libraryObstacle;
  }

  @Override
  public boolean emulated() {
    return emulated;
  }

  @Override
  public int devices() {
    return error == 0 ? devices.size() : -1;
  }

  @Override
  public int errorCode() {
    return error;
  }

  @Override
  public String errorMessage() {
    return errorMessage;
  }

  @Override
  public int driverVersion() {
    return driverVersion;
  }

  @Override
  public int runtimeVersion() {
    return 13000;
  }

  @Override
  public Optional<Properties> properties(int device) {
    return Optional.of(devices.get(device));
  }

  @Override
  public Optional<String> selfTest(int device) {
    selfTests++;
    return selfTestDifference;
  }

  @Override
  public CudaDriver driver(int device) {
    linkage.ifPresent(
        error -> {
          throw error;
        });
    return driver;
  }
}
