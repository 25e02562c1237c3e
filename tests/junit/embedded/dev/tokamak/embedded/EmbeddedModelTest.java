// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.embedded;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EmbeddedModelTest {
  @TempDir private Path folder;

  @Test
  void isUnpackedOnceAndWhole() throws IOException {
    Path cache = folder.resolve("a/tokamak");
    Path file = EmbeddedModel.unpacked(cache, folder);
    assertThat(file).hasParent(cache);
    assertThat(file.getFileName().toString()).matches("tokamak-stories-[0-9a-f]{8}\\.gguf");
    byte[] content = Files.readAllBytes(file);
    assertThat(Arrays.copyOf(content, 4)).isEqualTo("GGUF".getBytes(StandardCharsets.US_ASCII));
    assertThat(content.length).isBetween(1 << 20, 16 << 20);

    FileTime before = FileTime.fromMillis(0);
    Files.setLastModifiedTime(file, before);
    assertThat(EmbeddedModel.unpacked(cache, folder)).isEqualTo(file);
    assertThat(Files.getLastModifiedTime(file)).isEqualTo(before);
    try (Stream<Path> files = Files.list(cache)) {
      assertThat(files).containsExactly(file);
    }
  }

  @Test
  void isMadeWholeAgain() throws IOException {
    Path file = EmbeddedModel.unpacked(folder, folder);
    byte[] content = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(content, content.length / 2));
    assertThat(EmbeddedModel.unpacked(folder, folder)).isEqualTo(file).hasBinaryContent(content);
    content[content.length / 2] ^= 1;
    Files.write(file, content);
    content[content.length / 2] ^= 1;
    assertThat(EmbeddedModel.unpacked(folder, folder)).hasBinaryContent(content);
  }

  /** A file where the folder should be: what root could not do either. */
  @Test
  void hasASecondPlaceAndAClearFailure() throws IOException {
    Path blocked = Files.createFile(folder.resolve("file")).resolve("tokamak");
    Path other = folder.resolve("other");
    assertThat(EmbeddedModel.unpacked(blocked, other)).hasParent(other);
    assertThatThrownBy(() -> EmbeddedModel.unpacked(blocked, blocked))
        .isInstanceOf(UncheckedIOException.class)
        .hasMessageContaining(blocked.getParent().toString());
  }

  @Test
  void theCacheIsTheUsers() {
    assertThat(EmbeddedModel.cache(null, "/home/lily")).hasToString("/home/lily/.cache/tokamak");
    assertThat(EmbeddedModel.cache("", "/home/lily")).hasToString("/home/lily/.cache/tokamak");
    assertThat(EmbeddedModel.cache("here", "/home/lily")).hasToString("/home/lily/.cache/tokamak");
    assertThat(EmbeddedModel.cache("/var/cache/lily", "/home/lily"))
        .hasToString("/var/cache/lily/tokamak");
  }

  @Test
  void aNameIsTheModelAndAnythingElseAPath() {
    assertThat(EmbeddedModel.named("tokamak-stories")).isRegularFile();
    assertThat(EmbeddedModel.named("./tokamak-stories")).isEqualTo(Path.of("./tokamak-stories"));
    assertThat(EmbeddedModel.named("other.gguf")).isEqualTo(Path.of("other.gguf"));
  }
}
