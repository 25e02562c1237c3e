// SPDX-License-Identifier: Apache-2.0
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.zip.GZIPInputStream;

/** Reading texts, and writing texts and JSON lines. */
final class Lines {
  private static final String END = "<|endoftext|>";

  private Lines() {}

  /** The documents of a text file, parted by the end-of-text mark; {@code .gz} too. */
  static List<String> documents(Path file) throws IOException {
    List<String> documents = new ArrayList<>();
    for (String document : text(file).split("<\\|endoftext\\|>")) {
      if (!document.isBlank()) {
        documents.add(document.strip());
      }
    }
    return documents;
  }

  private static String text(Path file) throws IOException {
    InputStream plain = Files.newInputStream(file);
    InputStream in = file.toString().endsWith(".gz") ? new GZIPInputStream(plain) : plain;
    try (var reader = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8))) {
      return reader.lines().collect(Collectors.joining("\n"));
    }
  }

  /** Writes documents as a text file, each once. */
  static void write(Path file, List<String> documents) throws IOException {
    Set<String> once = new LinkedHashSet<>(documents);
    Files.writeString(file, String.join("\n" + END + "\n", once) + "\n");
    System.err.println(file + ": " + once.size() + " documents, " + Files.size(file) + " bytes");
  }

  /** Writes an object a line. */
  static void writeJson(Path file, List<Map<String, Object>> objects) throws IOException {
    Files.writeString(
        file, objects.stream().map(Lines::json).collect(Collectors.joining("\n", "", "\n")));
    System.err.println(file + ": " + objects.size() + " lines, " + Files.size(file) + " bytes");
  }

  private static String json(Object value) {
    return switch (value) {
      case String text -> quoted(text);
      case Number number -> number.toString();
      case List<?> list ->
          list.stream().map(Lines::json).collect(Collectors.joining(", ", "[", "]"));
      case Map<?, ?> map ->
          map.entrySet().stream()
              .map(entry -> json(entry.getKey()) + ": " + json(entry.getValue()))
              .collect(Collectors.joining(", ", "{", "}"));
      default -> throw new IllegalArgumentException(value.toString());
    };
  }

  private static String quoted(String text) {
    var out = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      switch (c) {
        case '"' -> out.append("\\\"");
        case '\\' -> out.append("\\\\");
        case '\n' -> out.append("\\n");
        case '\t' -> out.append("\\t");
        default -> {
          if (c < ' ') {
            out.append(String.format("\\u%04x", (int) c));
          } else {
            out.append(c);
          }
        }
      }
    }
    return out.append('"').toString();
  }
}
