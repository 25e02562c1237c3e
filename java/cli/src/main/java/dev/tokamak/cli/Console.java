// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * What a command reads and writes.
 *
 * @param in standard input
 * @param out results
 * @param err everything else
 * @param colour whether results may be coloured
 * @param live whether somebody watches {@code err}: progress bars are drawn
 */
public record Console(
    InputStream in, StandardOutput out, PrintStream err, boolean colour, boolean live) {

  /** The process's own. Colours follow no-color.org and CLICOLOR_FORCE. */
  static Console ofProcess() {
    boolean wanted = System.getenv("NO_COLOR") == null && !"dumb".equals(System.getenv("TERM"));
    boolean forced = !"0".equals(System.getenv().getOrDefault("CLICOLOR_FORCE", "0"));
    return new Console(
        System.in,
        new StandardOutput(new FileOutputStream(FileDescriptor.out)),
        System.err,
        forced || wanted && isTerminal(1),
        wanted && isTerminal(2));
  }

  /** Whether somebody types the input and reads the results. */
  public boolean interactive() {
    return in == System.in && isTerminal(0) && isTerminal(1);
  }

  /** Whether a file descriptor is a terminal; Java itself tells only of input and output at once. */
  private static boolean isTerminal(int descriptor) {
    try {
      Path target = Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor));
      return target.startsWith("/dev/pts")
          || target.equals(Path.of("/dev/console"))
          || target.toString().startsWith("/dev/tty");
    } catch (IOException _) { // no Linux
      java.io.Console console = System.console();
      return console != null && console.isTerminal();
    }
  }
}
