// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** How a command tells its results; every command has these. */
@Command
final class OutputOptions {
  @Option(
      names = "--json",
      description = "One JSON object on standard output, and nothing else there.")
  boolean json;

  @Option(names = "--quiet", description = "No progress and no figures on standard error.")
  boolean quiet;

  @Option(names = "--debug", description = "A stack trace with an error.")
  private boolean debug; // read by Main

  @Option(names = {"-h", "--help"}, usageHelp = true, description = "Shows this.")
  private boolean help;
}
