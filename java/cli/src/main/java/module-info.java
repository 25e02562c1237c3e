// SPDX-License-Identifier: Apache-2.0

/** The command line. */
module dev.tokamak.cli {
  requires dev.tokamak.embedded;
  requires dev.tokamak.generate;
  requires dev.tokamak.train;
  requires info.picocli;
  requires me.tongfei.progressbar;
  requires org.jline.reader;
  requires org.snakeyaml.engine;
  requires tools.jackson.core;

  // picocli fills in the options.
  opens dev.tokamak.cli to
      info.picocli;
  opens dev.tokamak.cli.command to
      info.picocli;
}
