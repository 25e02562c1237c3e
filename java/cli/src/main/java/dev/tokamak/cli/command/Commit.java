// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.Optional;

/** The commit of the checkout that this program was built in, for reports. */
final class Commit {
  private Commit() {}

  /** As git names it, with {@code -dirty} where files are changed; empty outside a checkout. */
  static Optional<String> ofCheckout() {
    try {
      CodeSource source = Commit.class.getProtectionDomain().getCodeSource();
      Path at = source == null ? null : Path.of(source.getLocation().toURI());
      while (at != null && !isCheckout(at)) {
        at = at.getParent();
      }
      return at == null ? Optional.empty() : describe(at);
    } catch (URISyntaxException | IOException _) { // no file, no git
      return Optional.empty();
    }
  }

  /** Another project's checkout may lie around this program's jar. */
  private static boolean isCheckout(Path folder) {
    return Files.exists(folder.resolve(".git")) && Files.exists(folder.resolve("java/cli/pom.xml"));
  }

  private static Optional<String> describe(Path checkout) throws IOException {
    Process git =
        new ProcessBuilder(
                "git", "-C", checkout.toString(), "describe", "--always", "--dirty", "--abbrev=12")
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    git.getOutputStream().close();
    String answer = new String(git.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return Optional.of(answer.strip()).filter(commit -> !commit.isEmpty());
  }
}
