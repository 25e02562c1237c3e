// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import tools.jackson.databind.json.JsonMapper;

/**
 * A file of {@code tests/cases/tokenizer}: a line is a row of words parted by spaces; a word in
 * double quotes is a JSON string and may hold anything; {@code #} begins a comment.
 */
final class CaseFile {
  private static final Pattern WORD = Pattern.compile("\"(?:[^\"\\\\]|\\\\.)*\"|[^\\s\"]+");
  private static final JsonMapper JSON = new JsonMapper();

  /** A line: {@code words}, strings without their quotes; {@code place} is for messages. */
  record Row(String place, List<String> words) {
    String word(int i) {
      return words.get(i);
    }

    /** The words after the first {@code =}. */
    List<String> expected() {
      return words.subList(words.indexOf("=") + 1, words.size());
    }
  }

  private CaseFile() {}

  static List<Row> read(String name) {
    Path file = folder().resolve(name);
    var rows = new ArrayList<Row>();
    try {
      int number = 0;
      for (String line : Files.readAllLines(file)) {
        number++;
        var words = new ArrayList<String>();
        for (Matcher m = WORD.matcher(line); m.find(); ) {
          if (m.group().startsWith("#")) {
            break;
          }
          words.add(
              m.group().startsWith("\"") ? JSON.readValue(m.group(), String.class) : m.group());
        }
        if (!words.isEmpty()) {
          rows.add(new Row(name + ":" + number + ": " + line, words));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return rows;
  }

  static Path folder() {
    for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
      Path cases = at.resolve("tests").resolve("cases").resolve("tokenizer");
      if (Files.isDirectory(cases)) {
        return cases;
      }
    }
    throw new IllegalStateException(
        "tests/cases/tokenizer is not above " + Path.of("").toAbsolutePath());
  }
}
