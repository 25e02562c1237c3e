// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.nativelib;

import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;
import java.util.function.IntSupplier;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Loader;

/**
 * Whether the native kernels are there. The library travels in this module's jar; JavaCPP unpacks
 * it into a cache folder and loads it, once. If that fails, the reason is a value, and nothing here
 * throws.
 */
public final class NativeLibrary {
  private static final String RESOURCE = "linux-x86_64/libjnitokamak.so";
  private static final int ELF_MAGIC = 0x464c457f; // 7f, ELF

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
    return load(
        TokamakNative.class,
        RESOURCE,
        "native",
        TokamakNative::tk_abi_version,
        TokamakNative.TK_ABI_VERSION);
  }

  /**
   * Loads a binding's library from this module's jar, by calling it.
   *
   * @param kind {@code native}, {@code CUDA}: which kernels they are, for messages
   * @return why it cannot be called
   */
  static Optional<String> load(
      Class<?> binding, String resource, String kind, IntSupplier abiVersion, int expected) {
    String platform = System.getProperty("os.name") + " " + System.getProperty("os.arch");
    if (!platform.startsWith("Linux ") || !platform.endsWith(" amd64")) {
      return Optional.of(kind + " kernels are made for Linux amd64, this is " + platform);
    }
    try {
      File library = Loader.cacheResource(binding, resource);
      if (library != null && !isWhole(library)) {
        return Optional.of("the " + kind + " library is damaged: " + library);
      }
      return call(kind, abiVersion, expected);
    } catch (IOException | RuntimeException e) {
      return Optional.of("the " + kind + " library does not load: " + firstLine(e));
    }
  }

  /** Makes a binding's first call, which loads what it binds unless that is loaded. */
  static Optional<String> call(String kind, IntSupplier abiVersion, int expected) {
    try {
      int version = abiVersion.getAsInt();
      return version == expected
          ? Optional.empty()
          : Optional.of(
              "the " + kind + " library has ABI version " + version + ", expected " + expected);
    } catch (LinkageError | RuntimeException e) {
      return Optional.of("the " + kind + " library does not load: " + firstLine(e));
    }
  }

  /**
   * Whether its section headers, which stand last in an ELF file, are there. To load a file that
   * was cut short would end the JVM.
   */
  static boolean isWhole(File library) throws IOException {
    try (var in = new FileInputStream(library)) {
      ByteBuffer header = ByteBuffer.wrap(in.readNBytes(64)).order(ByteOrder.LITTLE_ENDIAN);
      if (header.limit() < 64 || header.getInt(0) != ELF_MAGIC) {
        return false;
      }
      long sections = header.getLong(0x28);
      int bytes = (header.getShort(0x3a) & 0xffff) * (header.getShort(0x3c) & 0xffff);
      return sections > 0 && sections <= library.length() - bytes;
    }
  }

  /** The first line of what first went wrong. */
  public static String firstLine(Throwable thrown) {
    Throwable cause = thrown;
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    String message = String.valueOf(cause.getMessage());
    return message.lines().findFirst().orElse(cause.getClass().getSimpleName());
  }
}
