// SPDX-License-Identifier: Apache-2.0

/** The operation contract and the backends that run it. */
module dev.tokamak.backend {
  requires com.sun.jna;
  requires transitive org.bytedeco.javacpp;
}
