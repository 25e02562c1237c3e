// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.nativelib;

import java.io.IOException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.bytedeco.javacpp.Loader;

/**
 * Whether the CUDA kernels are there: the device's, which travel in this module's jar where it was
 * built with nvcc, or those that were compiled for the host, in tests. Decided and loaded once; the
 * same binding serves both. The library loads on machines without anything of NVIDIA's.
 */
public final class CudaLibrary {
  /** For tests, a system property: the folder of the library that runs on an emulated device. */
  public static final String EMULATION = "tokamak.cuda.emulation";

  private static final String NAME = "jniCudaNative";
  private static final String FILE = "lib" + NAME + ".so";
  private static final String RESOURCE = "linux-x86_64/" + FILE;
  private static final Optional<Path> EMULATED =
      Optional.ofNullable(System.getProperty(EMULATION))
          .map(folder -> Path.of(folder, FILE).toAbsolutePath());

  private static final Optional<String> OBSTACLE = load();

  private CudaLibrary() {}

  /** Why the kernels cannot be called; empty: they can. */
  public static Optional<String> obstacle() {
    return OBSTACLE;
  }

  /** The library of the emulated device, if that is the one in use. */
  public static Optional<Path> emulated() {
    return EMULATED;
  }

  /** What went wrong in this thread's last failed call. */
  public static String lastError() {
    return NativeLibrary.string(CudaNative.tk_cuda_last_error());
  }

  private static Optional<String> load() {
    if (EMULATED.isPresent()) {
      return loadEmulated(EMULATED.get());
    }
    if (CudaNative.class.getResource(RESOURCE) == null) {
      return Optional.of("this build has no CUDA kernels, since it was made without nvcc");
    }
    return NativeLibrary.load(
        CudaNative.class,
        RESOURCE,
        "CUDA",
        CudaNative::tk_cuda_abi_version,
        CudaNative.TK_CUDA_ABI_VERSION);
  }

  private static Optional<String> loadEmulated(Path library) {
    if (!Files.isRegularFile(library)) {
      return Optional.of("the emulated device's library is not there: " + library);
    }
    try {
      if (!NativeLibrary.isWhole(library.toFile())) {
        return Optional.of("the emulated device's library is damaged: " + library);
      }
      // Under the binding's name: its own load then finds that it is loaded.
      Loader.loadLibrary(CudaNative.class, new URL[] {library.toUri().toURL()}, NAME);
    } catch (LinkageError | IOException | RuntimeException e) {
      return Optional.of(
          "the emulated device's library does not load: " + NativeLibrary.firstLine(e));
    }
    return NativeLibrary.call(
        "emulated device's", CudaNative::tk_cuda_abi_version, CudaNative.TK_CUDA_ABI_VERSION);
  }
}
