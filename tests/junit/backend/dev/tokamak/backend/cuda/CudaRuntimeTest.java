// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.constantpool.MemberRefEntry;
import java.lang.classfile.constantpool.PoolEntry;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * To call a function of the CUDA runtime that the installed one lacks ends the JVM, and bytedeco's
 * bindings know newer ones than the oldest that we run on. So every call in our classes is looked
 * up in the list of what that one exports.
 */
class CudaRuntimeTest {
  private static final String BINDING = "org/bytedeco/cuda/global/cudart";

  @Test
  void onlyFunctionsOfTheOldestRuntimeAreCalled() throws IOException, URISyntaxException {
    Set<String> called = new TreeSet<>();
    Set<String> callers = new TreeSet<>();
    Path classes =
        Path.of(CudaDriver.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    try (Stream<Path> files = Files.walk(classes.resolve("dev/tokamak"))) {
      for (Path file : (Iterable<Path>) files::iterator) {
        if (file.toString().endsWith(".class")) {
          for (PoolEntry entry : ClassFile.of().parse(file).constantPool()) {
            if (entry instanceof MemberRefEntry member
                && member.owner().asInternalName().equals(BINDING)) {
              called.add(member.name().stringValue());
              callers.add(file.getFileName().toString().replaceAll("\\$.*|\\.class", ""));
            }
          }
        }
      }
    }
    assertThat(callers).containsExactly("BytedecoDriver");
    assertThat(called).hasSizeGreaterThan(20);
    assertThat(exported()).containsAll(called);
  }

  private static Set<String> exported() throws IOException {
    for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
      Path list = at.resolve("tests/cases/cuda-runtime-13.0.txt");
      if (Files.exists(list)) {
        return Files.readAllLines(list).stream()
            .filter(line -> !line.startsWith("#"))
            .collect(Collectors.toSet());
      }
    }
    throw new AssertionError("tests/cases/cuda-runtime-13.0.txt: not found above the module");
  }
}
