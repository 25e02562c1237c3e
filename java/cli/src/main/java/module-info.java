// SPDX-License-Identifier: Apache-2.0

/** The command line. */
module dev.tokamak.cli {
  requires dev.tokamak.generate;
  requires info.picocli;

  opens dev.tokamak.cli to
      info.picocli;
}
