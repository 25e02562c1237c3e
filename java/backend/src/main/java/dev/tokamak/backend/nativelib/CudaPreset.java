// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.nativelib;

import org.bytedeco.javacpp.annotation.Platform;
import org.bytedeco.javacpp.annotation.Properties;
import org.bytedeco.javacpp.tools.Info;
import org.bytedeco.javacpp.tools.InfoMap;
import org.bytedeco.javacpp.tools.InfoMapper;

/**
 * How JavaCPP maps {@code native/include/tokamak/tokamak_cuda.h} and {@code tokamak_cuda_train.h} to
 * Java: in the same way as {@link TokamakPreset}, but as a library of its own, which may be missing where the other is there.
 */
@Properties(
    value =
        @Platform(
            include = {"tokamak/tokamak_cuda.h", "tokamak/tokamak_cuda_train.h"},
            library = "jniCudaNative"),
    target = "dev.tokamak.backend.nativelib",
    global = "dev.tokamak.backend.nativelib.CudaNative")
public class CudaPreset implements InfoMapper {
  @Override
  public void map(InfoMap infos) {
    TokamakPreset.mapAddresses(infos);
    for (String type : new String[] {"tk_cuda_step", "tk_cuda_sampler", "tk_cuda_adamw"}) {
      infos.put(new Info(type).pointerTypes(TokamakPreset.address(type)).skip());
    }
  }
}
