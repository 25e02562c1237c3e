// SPDX-License-Identifier: Apache-2.0

/** The operation contract and the backends that run it. */
module dev.tokamak.backend {
  requires com.sun.jna;
  requires org.bytedeco.cuda;
  requires org.bytedeco.javacpp;

  exports dev.tokamak.backend;
  // Programs of gradients, for module train.
  exports dev.tokamak.backend.train;
  // The roofline of this machine, for benchmarks.
  exports dev.tokamak.backend.cpu;
  // Memory, streams and time of a GPU, for benchmarks, and what was found of it, for reports.
  exports dev.tokamak.backend.cuda;
  // What the machine has, for reports.
  exports dev.tokamak.backend.machine;
  // Decoding of weights, which readers of model files need too.
  exports dev.tokamak.backend.reference;

  // JNA fills in the native methods of EmulatedDriver and Libc.
  opens dev.tokamak.backend.cuda to
      com.sun.jna;
  opens dev.tokamak.backend.machine to
      com.sun.jna;
}
