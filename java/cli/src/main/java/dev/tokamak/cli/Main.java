// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;

/** The list of commands. */
@Command(
    name = "tokamak",
    description = "The JVM's own large-language-model runtime.",
    version = "tokamak 0.1.0-SNAPSHOT",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {HelpCommand.class})
public final class Main {
  private Main() {}

  public static void main(String[] arguments) {
    System.exit(new CommandLine(new Main()).execute(arguments));
  }
}
