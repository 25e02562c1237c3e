// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.embedded;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.zip.CRC32C;

/**
 * The model that travels with the program: llama family, 3.6 million parameters, trained by this
 * project on children's stories. What it can and cannot do stands in {@code java/embedded/README.md}.
 *
 * <p>Models are mapped into memory, so the file is unpacked once, into the folder {@code tokamak} of
 * the user's cache.
 */
public final class EmbeddedModel {
  /** What it is called where a model is named. */
  public static final String NAME = "tokamak-stories";

  private EmbeddedModel() {}

  /**
   * The file that is meant by what a user writes for a model: this one by its {@link #NAME}, and any
   * other by its path.
   *
   * @throws UncheckedIOException as {@link #file()}
   */
  public static Path named(String nameOrPath) {
    return nameOrPath.equals(NAME) ? file() : Path.of(nameOrPath);
  }

  /**
   * The model's GGUF file, unpacked if it is not there yet or is not whole.
   *
   * @throws UncheckedIOException if it can be unpacked neither into the cache nor into the folder for
   *     temporary files
   */
  public static Path file() {
    return unpacked(
        cache(System.getenv("XDG_CACHE_HOME"), System.getProperty("user.home")),
        Path.of(
            System.getProperty("java.io.tmpdir"),
            "tokamak-" + System.getProperty("user.name").replaceAll("[^A-Za-z0-9]", "_")));
  }

  /** Where programs keep what they can make again, by the XDG Base Directory Specification. */
  static Path cache(String xdgCacheHome, String home) {
    // What is not absolute is to be ignored, says the specification.
    boolean named = xdgCacheHome != null && Path.of(xdgCacheHome).isAbsolute();
    return (named ? Path.of(xdgCacheHome) : Path.of(home, ".cache")).resolve("tokamak");
  }

  static Path unpacked(Path folder, Path otherwise) {
    byte[] content = content();
    try {
      return unpacked(folder, content);
    } catch (IOException e) {
      try {
        return unpacked(otherwise, content);
      } catch (IOException again) {
        again.addSuppressed(e);
        throw new UncheckedIOException(again);
      }
    }
  }

  private static byte[] content() {
    try (InputStream in = EmbeddedModel.class.getResourceAsStream(NAME + ".gguf")) {
      return in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Under a name with its checksum, so that versions of the program do not undo each other's work. */
  private static Path unpacked(Path folder, byte[] content) throws IOException {
    var checksum = new CRC32C();
    checksum.update(content);
    String mark = HexFormat.of().toHexDigits((int) checksum.getValue());
    Path file = folder.resolve(NAME + "-" + mark + ".gguf");
    if (!Files.isRegularFile(file) || !Arrays.equals(Files.readAllBytes(file), content)) {
      Files.createDirectories(folder);
      // Another process may do the same at the same time: each has a file of its own until it is whole.
      Path part = Files.createTempFile(folder, NAME, ".part");
      try {
        Files.write(part, content);
        move(part, file);
      } finally {
        Files.deleteIfExists(part);
      }
    }
    return file;
  }

  private static void move(Path from, Path to) throws IOException {
    try {
      Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
    } catch (AtomicMoveNotSupportedException _) {
      Files.move(from, to, StandardCopyOption.REPLACE_EXISTING);
    }
  }
}
