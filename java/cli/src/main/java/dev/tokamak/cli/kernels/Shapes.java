// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.kernels;

import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.backend.QuantType;
import dev.tokamak.cli.Failure;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;

/**
 * The shapes that kernels are measured on. The form of the file stands at the head of {@code
 * models.shapes}, the one that is used unless another is named.
 *
 * @param rows tokens in a step
 * @param types of weights
 * @param caches types of the KV cache
 * @param contexts tokens of each sequence
 */
public record Shapes(
    List<Integer> rows,
    List<QuantType> types,
    List<QuantType> caches,
    List<Integer> contexts,
    List<Model> models) {

  /**
   * What the shapes of a model's operations follow from.
   *
   * @param hidden width of the residual stream
   * @param ffn width of the feed-forward branch
   * @param headNorm whether each query and key head is normalised
   */
  public record Model(
      String name,
      int hidden,
      int ffn,
      int heads,
      int kvHeads,
      int headDim,
      int vocabulary,
      Pairing rope,
      boolean headNorm) {}

  private static final Set<String> FIELDS =
      new LinkedHashSet<>(
          List.of(
              "hidden", "ffn", "heads", "kv_heads", "head_dim", "vocab", "rope", "head_norm"));
  private static final int MOST_ROWS = 4096;
  private static final int MOST_CONTEXT = 1 << 17;
  private static final int MOST_WIDTH = 1 << 17;
  private static final int MOST_HEADS = 1024;
  private static final int MOST_VOCABULARY = 1 << 20;

  /** Those of well-known models. */
  public static Shapes ofKnownModels() {
    try (InputStream in = Shapes.class.getResourceAsStream("models.shapes")) {
      return parse("models.shapes", new String(in.readAllBytes(), StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Reads a file of shapes.
   *
   * @param source names it in messages
   * @throws Failure that names the line and the field at fault
   */
  public static Shapes parse(String source, String text) {
    Map<String, List<String>> lists = new HashMap<>();
    Map<String, Model> models = new HashMap<>();
    List<Model> inOrder = new ArrayList<>();
    int number = 0;
    for (String line : text.lines().toList()) {
      number++;
      String place = source + ": line " + number;
      List<String> words = List.of(line.replaceFirst("#.*", "").strip().split("\\s+"));
      String first = words.getFirst();
      List<String> rest = words.subList(1, words.size());
      switch (first) {
        case "" -> {}
        case "rows", "types", "caches", "contexts" -> {
          if (rest.isEmpty()) {
            throw new Failure(place + ": " + first + ": expected at least one value");
          }
          if (lists.put(first, rest) != null) {
            throw new Failure(place + ": " + first + ": stands twice");
          }
        }
        case "model" -> {
          Model model = model(place, rest);
          if (models.put(model.name, model) != null) {
            throw new Failure(place + ": model " + model.name + ": stands twice");
          }
          inOrder.add(model);
        }
        default ->
            throw new Failure(
                place + ": expected rows, types, caches, contexts or model, found '" + first + "'");
      }
    }
    if (inOrder.isEmpty()) {
      throw new Failure(source + ": model: expected at least one");
    }
    return new Shapes(
        list(source, lists, "rows", word -> whole(word, MOST_ROWS)),
        list(source, lists, "types", word -> type(word, List.of(QuantType.values()))),
        list(
            source,
            lists,
            "caches",
            word ->
                type(
                    word,
                    List.of(QuantType.F32, QuantType.F16, QuantType.BF16, QuantType.Q8_0))),
        list(source, lists, "contexts", word -> whole(word, MOST_CONTEXT)),
        List.copyOf(inOrder));
  }

  private static <T> List<T> list(
      String source, Map<String, List<String>> lists, String name, Function<String, T> value) {
    List<String> words = lists.get(name);
    if (words == null) {
      throw new Failure(source + ": " + name + ": missing");
    }
    try {
      return words.stream().map(value).distinct().toList();
    } catch (IllegalArgumentException e) {
      throw new Failure(source + ": " + name + ": " + e.getMessage(), e);
    }
  }

  private static Model model(String place, List<String> words) {
    if (words.isEmpty() || words.getFirst().contains("=")) {
      throw new Failure(place + ": model: expected a name, then NAME=VALUE");
    }
    String name = words.getFirst();
    Map<String, String> fields = new HashMap<>();
    for (String word : words.subList(1, words.size())) {
      int equals = word.indexOf('=');
      String field = equals < 0 ? word : word.substring(0, equals);
      if (equals < 0 || !FIELDS.contains(field)) {
        throw new Failure(
            place + ": model " + name + ": expected NAME=VALUE with " + String.join(", ", FIELDS)
                + ", found '" + word + "'");
      }
      if (fields.put(field, word.substring(equals + 1)) != null) {
        throw new Failure(place + ": model " + name + ": " + field + ": stands twice");
      }
    }
    var read = new Fields(place + ": model " + name + ": ", fields);
    int heads = read.whole("heads", MOST_HEADS);
    int kvHeads = read.whole("kv_heads", MOST_HEADS);
    if (heads % kvHeads != 0) {
      throw new Failure(
          read.place + "kv_heads: " + kvHeads + " does not divide heads, " + heads);
    }
    int headDim = read.whole("head_dim", MOST_HEADS);
    if (headDim % 2 != 0) {
      throw new Failure(read.place + "head_dim: " + headDim + " is not even");
    }
    return new Model(
        name,
        read.whole("hidden", MOST_WIDTH),
        read.whole("ffn", MOST_WIDTH),
        heads,
        kvHeads,
        headDim,
        read.whole("vocab", MOST_VOCABULARY),
        Pairing.valueOf(read.oneOf("rope", "interleaved", "half_split").toUpperCase(Locale.ROOT)),
        read.oneOf("head_norm", "yes", "no").equals("yes"));
  }

  /** The fields of one model. */
  private record Fields(String place, Map<String, String> values) {
    String text(String name) {
      String value = values.get(name);
      if (value == null) {
        throw new Failure(place + name + ": missing");
      }
      return value;
    }

    int whole(String name, int most) {
      try {
        return Shapes.whole(text(name), most);
      } catch (IllegalArgumentException e) {
        throw new Failure(place + name + ": " + e.getMessage(), e);
      }
    }

    String oneOf(String name, String one, String other) {
      String value = text(name);
      if (!value.equals(one) && !value.equals(other)) {
        throw new Failure(
            place + name + ": expected " + one + " or " + other + ", found '" + value + "'");
      }
      return value;
    }
  }

  private static int whole(String word, int most) {
    // No more than nine digits: what follows cannot overflow.
    int value = word.matches("\\d{1,9}") ? Integer.parseInt(word) : 0;
    if (value < 1 || value > most) {
      throw new IllegalArgumentException(
          "expected a whole number from 1 to " + most + ", found '" + word + "'");
    }
    return value;
  }

  private static QuantType type(String word, List<QuantType> known) {
    return known.stream()
        .filter(type -> type.name().equals(word))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "expected one of "
                        + String.join(" ", known.stream().map(QuantType::name).toList())
                        + ", found '" + word + "'"));
  }
}
