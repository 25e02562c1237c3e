// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.testing.Seeds;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

class StopStringsTest {
  private static final Pattern WORD = Pattern.compile("\"((?:[^\"\\\\]|\\\\.)*)\"|(\\w+)");

  /** A line of the table. */
  private record Case(
      List<String> stop,
      List<String> pieces,
      List<String> gives,
      List<String> rest,
      boolean stopped) {

    static Case of(String line) {
      Case c =
          new Case(
              new ArrayList<>(),
              new ArrayList<>(),
              new ArrayList<>(),
              new ArrayList<>(),
              line.endsWith(" stopped"));
      List<String> section = List.of();
      for (Matcher word = WORD.matcher(line); word.find(); ) {
        if (word.group(1) != null) {
          section.add(word.group(1).replace("\\n", "\n").replace("\\\"", "\""));
        } else {
          section =
              switch (word.group(2)) {
                case "stop" -> c.stop;
                case "pieces" -> c.pieces;
                case "gives" -> c.gives;
                case "rest" -> c.rest;
                case "stopped" -> List.of();
                default -> throw new IllegalArgumentException(line);
              };
        }
      }
      return c;
    }

    void run() {
      StopStrings watch = new StopStrings(stop);
      List<String> given = new ArrayList<>();
      for (String piece : pieces) {
        given.add(watch.accept(piece));
        if (watch.found()) {
          break;
        }
      }
      assertThat(given).isEqualTo(gives);
      assertThat(watch.found()).isEqualTo(stopped);
      assertThat(watch.rest()).isEqualTo(rest.getFirst());
    }
  }

  @TestFactory
  Stream<DynamicTest> table() throws IOException {
    return Files.readAllLines(cases("generate/stop-strings.cases")).stream()
        .filter(line -> !line.isBlank() && !line.startsWith("#"))
        .map(line -> DynamicTest.dynamicTest(line, () -> Case.of(line).run()));
  }

  private static Path cases(String name) {
    for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
      Path file = at.resolve("tests/cases").resolve(name);
      if (Files.exists(file)) {
        return file;
      }
    }
    throw new AssertionError("no tests/cases/" + name + " above the working directory");
  }

  /** However a text is cut, the same comes out: what a search in the whole text finds. */
  @Test
  void anyCutsGiveTheSame() {
    Seeds.check(
        random -> {
          for (int i = 0; i < 2000; i++) {
            List<String> stops =
                Stream.generate(() -> letters(random.nextInt(1, 5), random))
                    .limit(random.nextInt(1, 4))
                    .toList();
            String text = letters(random.nextInt(0, 30), random);
            StopStrings watch = new StopStrings(stops);
            StringBuilder out = new StringBuilder();
            for (int at = 0; at < text.length() && !watch.found(); ) {
              int to = random.nextInt(at, text.length() + 1);
              out.append(watch.accept(text.substring(at, to)));
              at = to;
            }
            String expected = untilStop(text, stops);
            out.append(watch.rest());
            assertThat(out).as("%s in %s", stops, text).hasToString(expected);
            assertThat(watch.found()).isEqualTo(stops.stream().anyMatch(text::contains));
          }
        });
  }

  private static String letters(int length, java.util.random.RandomGenerator random) {
    return random
        .ints(length, 'a', 'c' + 1)
        .mapToObj(Character::toString)
        .reduce("", String::concat);
  }

  private static String untilStop(String text, List<String> stops) {
    for (int end = 0; end <= text.length(); end++) {
      String head = text.substring(0, end);
      int longest = stops.stream().filter(head::endsWith).mapToInt(String::length).max().orElse(0);
      if (longest > 0) {
        return head.substring(0, end - longest);
      }
    }
    return text;
  }
}
