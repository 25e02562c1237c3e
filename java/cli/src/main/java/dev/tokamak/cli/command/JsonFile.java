// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Console;
import dev.tokamak.cli.Failure;
import dev.tokamak.cli.Json;
import java.nio.file.Path;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;

/** A file that is one JSON value. */
final class JsonFile {
  private static final Path STANDARD_INPUT = Path.of("-");

  private JsonFile() {}

  /**
   * Its value, as {@link Json#value} gives it; {@code -} is standard input.
   *
   * @throws Failure that names the file and the place in it
   */
  static Object read(Console console, Path file) {
    boolean standard = file.equals(STANDARD_INPUT);
    String name = standard ? "standard input" : file.toString();
    String text = standard ? TextSource.standardInput(console.in()) : TextSource.file(file);
    // RFC 8259 lets readers ignore a byte order mark.
    try (JsonParser parser = Json.parser(text.startsWith("\ufeff") ? text.substring(1) : text)) {
      parser.nextToken();
      Object value = Json.value(parser);
      if (parser.nextToken() != null) {
        throw new Failure(name + ": more than one JSON value");
      }
      return value;
    } catch (JacksonException e) {
      int line = e.getLocation() == null ? 1 : e.getLocation().getLineNr();
      throw new Failure(name + ": line " + line + ": " + Json.problem(e), e);
    } catch (IllegalArgumentException e) {
      throw new Failure(name + ": " + e.getMessage(), e);
    }
  }
}
