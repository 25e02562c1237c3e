// SPDX-License-Identifier: Apache-2.0

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassFileVersion;
import java.lang.classfile.ClassHierarchyResolver;
import java.lang.classfile.ClassModel;
import java.lang.classfile.MethodModel;
import java.lang.classfile.MethodTransform;
import java.lang.constant.ClassDesc;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Collections;
import java.util.List;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/**
 * Gives the classes of a jar that are older than Java 6 a newer version, and the stack maps that go
 * with it; nothing else in them changes. An ahead-of-time cache leaves out classes so old, with all
 * that extend them: each start of the program would load and verify them anew. Run by the build as
 * {@code java ModernClasses.java JAR}.
 */
final class ModernClasses {
  private ModernClasses() {}

  public static void main(String[] arguments) throws IOException {
    Path jar = Path.of(arguments[0]);
    Path made = Path.of(jar + ".new");
    if (rewrite(jar, made)) {
      Files.move(made, jar, StandardCopyOption.REPLACE_EXISTING);
    } else {
      Files.delete(made);
    }
  }

  /** Whether any class was too old. */
  private static boolean rewrite(Path jar, Path made) throws IOException {
    boolean changed = false;
    try (var in = new ZipFile(jar.toFile());
        var out = new ZipOutputStream(Files.newOutputStream(made))) {
      ClassFile classes =
          ClassFile.of(
              ClassFile.ClassHierarchyResolverOption.of(
                  ClassHierarchyResolver.ofResourceParsing((ClassDesc type) -> open(in, type))
                      .orElse(ClassHierarchyResolver.defaultResolver())),
              ClassFile.StackMapsOption.GENERATE_STACK_MAPS,
              ClassFile.ConstantPoolSharingOption.NEW_POOL);
      for (ZipEntry entry : Collections.list(in.entries())) {
        byte[] bytes = in.getInputStream(entry).readAllBytes();
        if (entry.getName().endsWith(".class")) {
          ClassModel old = classes.parse(bytes);
          if (old.majorVersion() < ClassFile.JAVA_6_VERSION) {
            changed = true;
            bytes = modern(classes, old);
            List<VerifyError> errors = classes.verify(bytes);
            if (!errors.isEmpty()) {
              throw new IOException(jar + ": " + entry.getName() + ": " + errors.getFirst());
            }
          }
        }
        ZipEntry copy = new ZipEntry(entry.getName());
        copy.setTime(entry.getTime());
        out.putNextEntry(copy);
        out.write(bytes);
        out.closeEntry();
      }
    }
    return changed;
  }

  private static byte[] modern(ClassFile classes, ClassModel old) {
    return classes.transformClass(
        old,
        (builder, element) -> {
          switch (element) {
            case ClassFileVersion _ ->
                builder.with(ClassFileVersion.of(ClassFile.JAVA_8_VERSION, 0));
            // Code is written anew, instruction by instruction: only then it gets stack maps.
            case MethodModel method ->
                builder.transformMethod(
                    method,
                    MethodTransform.transformingCode(
                        (code, instruction) -> code.with(instruction)));
            default -> builder.with(element);
          }
        });
  }

  private static InputStream open(ZipFile jar, ClassDesc type) {
    String name = type.descriptorString();
    ZipEntry entry = jar.getEntry(name.substring(1, name.length() - 1) + ".class");
    try {
      return entry == null ? null : jar.getInputStream(entry);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
