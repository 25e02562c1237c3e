// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Failure;
import dev.tokamak.cli.Json;
import dev.tokamak.generate.evaluate.Choices;
import dev.tokamak.generate.evaluate.FewShot;
import dev.tokamak.generate.evaluate.Pairs;
import dev.tokamak.train.data.Documents;
import dev.tokamak.train.data.Question;
import dev.tokamak.train.data.TextLines;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * The cases of an evaluation, read from files: texts, or JSON lines, each {@code .gz} too. Names of
 * fields are those of public sets of questions, with their synonyms; fields that a task does not
 * need are let by.
 */
final class EvaluationCases {
  private EvaluationCases() {}

  /** One line of a file of JSON lines. */
  private record Line(String place, String file, Map<?, ?> object) {
    Object first(String... names) {
      for (String name : names) {
        if (object.get(name) != null) {
          return object.get(name);
        }
      }
      throw new Failure(place + ": expected the field " + String.join(" or ", names));
    }

    String text(String... names) {
      return asText(String.join(" or ", names), first(names));
    }

    List<String> texts(String... names) {
      String what = String.join(" or ", names);
      if (!(first(names) instanceof List<?> values)) {
        throw new Failure(place + ": " + what + ": expected an array of texts");
      }
      return values.stream().map(value -> asText(what, value)).toList();
    }

    private String asText(String what, Object value) {
      if (value instanceof String text) {
        return text;
      }
      throw new Failure(place + ": " + what + ": expected a text, found " + value);
    }

    boolean has(String name) {
      return object.get(name) != null;
    }

    /** A value made of this line, its problem named by the line. */
    <T> T make(Supplier<T> value) {
      try {
        return value.get();
      } catch (IllegalArgumentException e) {
        throw new Failure(place + ": " + e.getMessage(), e);
      }
    }
  }

  /** Documents of text files, and {@code text} of JSON lines: what a model is trained on. */
  static List<String> documents(List<Path> files) {
    List<String> documents = new ArrayList<>();
    var document = new StringBuilder();
    for (Path file : expand(files)) {
      Documents.read(
          file,
          (piece, last) -> {
            document.append(piece);
            if (last) {
              documents.add(document.toString());
              document.setLength(0);
            }
          });
    }
    return documents;
  }

  static List<Choices.Item> choices(List<Path> files) {
    List<Choices.Item> items = new ArrayList<>();
    allLines(files)
        .forEach(
            line -> {
              List<String> labels = List.of();
              List<String> choices;
              if (line.first("choices", "endings") instanceof Map<?, ?> labelled) {
                var inner = new Line(line.place, line.file, labelled);
                choices = inner.texts("text");
                labels = inner.has("label") ? inner.texts("label") : labels;
              } else {
                choices = line.texts("choices", "endings");
              }
              int gold = gold(line, choices, labels);
              items.add(
                  line.make(
                      () ->
                          new Choices.Item(
                              line.file,
                              line.text("context", "question", "query", "prompt", "ctx"),
                              choices,
                              gold)));
            });
    return notEmpty(items, files, "question");
  }

  /** The right choice: its number from 0, its label, its letter, or its text. */
  private static int gold(Line line, List<String> choices, List<String> labels) {
    Object gold = line.first("gold", "answer", "label", "answerKey");
    if (gold instanceof BigDecimal number && !labels.contains(number.toString())) {
      return line.make(number::intValueExact);
    }
    String name = gold.toString();
    if (labels.contains(name)) {
      return labels.indexOf(name);
    }
    if (choices.contains(name)) {
      return choices.indexOf(name);
    }
    if (name.matches("[0-9]{1,3}")) {
      return Integer.parseInt(name);
    }
    if (name.matches("[A-Z]")) {
      return name.charAt(0) - 'A';
    }
    throw new Failure(
        line.place + ": answer: expected a choice, its number from 0 or its letter, found " + name);
  }

  static List<Pairs.Item> pairs(List<Path> files) {
    List<Pairs.Item> items = new ArrayList<>();
    allLines(files)
        .forEach(
            line ->
                items.add(
                    line.make(
                        () ->
                            new Pairs.Item(
                                line.has("UID") ? line.text("UID") : line.file,
                                line.text("sentence_good", "good"),
                                line.text("sentence_bad", "bad")))));
    return notEmpty(items, files, "pair");
  }

  /** Inputs and outputs, by task; lines without the name of one belong to the file's. */
  static List<FewShot.Task> tasks(List<Path> files) {
    Map<String, List<FewShot.Example>> tasks = new LinkedHashMap<>();
    allLines(files)
        .forEach(
            line ->
                tasks
                    .computeIfAbsent(
                        line.has("task") ? line.text("task") : line.file, _ -> new ArrayList<>())
                    .add(new FewShot.Example(line.text("input"), line.text("output").strip())));
    return notEmpty(
        tasks.entrySet().stream()
            .map(task -> new FewShot.Task(task.getKey(), task.getValue()))
            .toList(),
        files,
        "example");
  }

  static List<Question> questions(List<Path> files) {
    return expand(files).stream().flatMap(file -> Question.read(file).stream()).toList();
  }

  private static Stream<Line> allLines(List<Path> files) {
    return expand(files).stream().flatMap(file -> lines(file).stream());
  }

  private static List<Line> lines(Path file) {
    List<Line> lines = new ArrayList<>();
    String name = plainName(file).replaceFirst("\\.jsonl?$", "");
    try (var texts = new TextLines(file)) {
      for (var text = texts.next(); text.isPresent(); text = texts.next()) {
        if (!(JsonLines.parse(texts.place(), text.get(), Json::value)
            instanceof Map<?, ?> object)) {
          throw new Failure(texts.place() + ": expected a JSON object");
        }
        lines.add(new Line(texts.place(), name, object));
      }
    }
    return lines;
  }

  private static String plainName(Path file) {
    String name = file.getFileName().toString();
    return name.endsWith(".gz") ? name.substring(0, name.length() - 3) : name;
  }

  /** Folders stand for the files of JSON lines in them, in the order of their names. */
  private static List<Path> expand(List<Path> paths) {
    List<Path> files = new ArrayList<>();
    for (Path path : paths) {
      if (!Files.isDirectory(path)) {
        files.add(path);
        continue;
      }
      try (Stream<Path> inside = Files.list(path)) {
        List<Path> found =
            inside.filter(file -> plainName(file).endsWith(".jsonl")).sorted().toList();
        if (found.isEmpty()) {
          throw new Failure(path + ": expected files that end in .jsonl, found none");
        }
        files.addAll(found);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    return files;
  }

  private static <T> List<T> notEmpty(List<T> cases, List<Path> files, String what) {
    if (cases.isEmpty()) {
      throw new Failure(files.getFirst() + ": expected at least one " + what + ", found none");
    }
    return cases;
  }
}
