// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.nativelib;

import java.util.Optional;
import org.bytedeco.javacpp.BytePointer;

/**
 * Whether the native kernels are there. The library travels in this module's jar; JavaCPP unpacks
 * it into a cache folder and loads it, once. If that fails, the reason is a value, and nothing here
 * throws.
 */
public final class NativeLibrary {
  private static final Optional<String> OBSTACLE = load();

  private NativeLibrary() {}

  /** Why the native kernels cannot be called; empty: they can. */
  public static Optional<String> obstacle() {
    return OBSTACLE;
  }

  /** What went wrong in this thread's last failed call. */
  public static String lastError() {
    return string(TokamakNative.tk_last_error());
  }

  /** A constant C string; empty for a null pointer. */
  public static String string(BytePointer pointer) {
    return pointer == null || pointer.isNull() ? "" : pointer.getString();
  }

  private static Optional<String> load() {
    String platform = System.getProperty("os.name") + " " + System.getProperty("os.arch");
    if (!platform.startsWith("Linux ") || !platform.endsWith(" amd64")) {
      return Optional.of("native kernels are made for Linux amd64, this is " + platform);
    }
    try {
      int version = TokamakNative.tk_abi_version();
      return version == TokamakNative.TK_ABI_VERSION
          ? Optional.empty()
          : Optional.of(
              "the native library has ABI version " + version + ", expected "
                  + TokamakNative.TK_ABI_VERSION);
    } catch (LinkageError | RuntimeException e) {
      Throwable cause = e;
      while (cause.getCause() != null) {
        cause = cause.getCause();
      }
      return Optional.of("the native library does not load: " + firstLine(cause));
    }
  }

  private static String firstLine(Throwable cause) {
    String message = String.valueOf(cause.getMessage());
    return message.lines().findFirst().orElse(cause.getClass().getSimpleName());
  }
}
