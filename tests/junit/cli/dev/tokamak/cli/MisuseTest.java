// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Every row of {@code tests/cases/cli/misuse.cases} ends with its status and one clear line. */
class MisuseTest {
  private static final Pattern WORD = Pattern.compile("'([^']*)'|\\S+");

  @TempDir private static Path folder;

  private record Row(int status, List<String> arguments, String message) {}

  @TestFactory
  Stream<DynamicTest> rows() throws IOException {
    Path text = Files.writeString(folder.resolve("text.txt"), "Once upon a time\n");
    Path bad = folder.resolve("bad.txt");
    Files.write(bad, new byte[] {'a', 'b', 'c', '\n', 'd', 'e', 'f', 'g', 'h', (byte) 0xff});
    Map<String, String> names =
        Map.of(
            "$model", Cli.stories(),
            "$text", text.toString(),
            "$bad", bad.toString(),
            "$out", folder.resolve("out.jsonl").toString());
    List<Row> rows = read(names);
    assertThat(rows).hasSizeGreaterThan(50);
    return rows.stream()
        .map(row -> DynamicTest.dynamicTest(row.arguments.toString(), () -> check(row)));
  }

  private static void check(Row row) {
    Cli.Result result = Cli.run(row.arguments.toArray(String[]::new));
    assertThat(result.err()).contains(row.message);
    assertThat(result.status()).as(result.err()).isEqualTo(row.status);
    assertThat(result.out()).isEmpty();
    assertThat(result.lastError()).startsWith("tokamak: ").contains(row.message);
    assertThat(result.err()).doesNotContain("\tat ");
    if (row.status == Main.USAGE) {
      assertThat(result.err().lines()).hasSize(1);
    }
  }

  private static List<Row> read(Map<String, String> names) throws IOException {
    var rows = new ArrayList<Row>();
    for (String line : Files.readAllLines(CaseFiles.path("cli/misuse.cases"))) {
      if (line.isBlank() || line.startsWith("#")) {
        continue;
      }
      String[] columns = line.split(" \\| ", 3);
      var arguments = new ArrayList<String>();
      Matcher words = WORD.matcher(columns[1]);
      while (words.find()) {
        String word = words.group(1) != null ? words.group(1) : words.group();
        arguments.add(names.getOrDefault(word, word));
      }
      rows.add(new Row(Integer.parseInt(columns[0]), arguments, columns[2].strip()));
    }
    return rows;
  }
}
