// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.nativelib;

import org.bytedeco.javacpp.annotation.Platform;
import org.bytedeco.javacpp.annotation.Properties;
import org.bytedeco.javacpp.tools.Info;
import org.bytedeco.javacpp.tools.InfoMap;
import org.bytedeco.javacpp.tools.InfoMapper;

/**
 * How JavaCPP maps {@code tokamak.h} and {@code tokamak_train.h} of {@code native/include/tokamak}
 * to Java. The command {@code mvn -Pbinding -pl java/backend -am compile} makes {@link
 * TokamakNative} from them.
 *
 * <p>Every address is a Java {@code long}, so a call allocates nothing on the Java heap and takes
 * what {@code MemorySegment.address()} gives; null is 0. Only {@code const char*} becomes an object,
 * in calls that happen at load or after an error.
 */
@Properties(
    value =
        @Platform(
            include = {"tokamak/tokamak.h", "tokamak/tokamak_train.h"},
            library = "jnitokamak"),
    target = "dev.tokamak.backend.nativelib",
    global = "dev.tokamak.backend.nativelib.TokamakNative")
public class TokamakPreset implements InfoMapper {
  @Override
  public void map(InfoMap infos) {
    mapAddresses(infos);
    for (String opaque : new String[] {"tk_team", "tk_tape", "tk_train"}) {
      infos.put(new Info(opaque).pointerTypes(address(opaque)).skip());
    }
  }

  /** What all headers of the project share. */
  static void mapAddresses(InfoMap infos) {
    infos.put(new Info("TK_API").cppTypes().annotations());
    for (String value : new String[] {"float", "double"}) {
      infos.put(new Info(value).valueTypes(value).pointerTypes(address(value)));
    }
    infos.put(new Info("int32_t").valueTypes("int").pointerTypes(address("int32_t")));
    infos.put(
        new Info("int64_t")
            .valueTypes("@Cast(\"int64_t\") long")
            .pointerTypes(address("int64_t")));
    infos.put(new Info("void").valueTypes("void").pointerTypes(address("void")));
  }

  static String address(String type) {
    return "@Cast(\"" + type + "*\") long";
  }
}
