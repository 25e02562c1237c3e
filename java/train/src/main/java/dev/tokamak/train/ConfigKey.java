// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * One key of a training configuration.
 *
 * @param path where it stands, {@code optimizer.lr}
 * @param kind what it may be
 * @param standard its value where it is left out; empty: it has none, or one that other keys give
 * @param note of the reference, in place of the standard value
 * @param about what it does
 */
public record ConfigKey(
    String path, Kind kind, Optional<Object> standard, String note, String about) {

  /** What stands in the reference for the value of a key that is left out. */
  public String standardText() {
    return note.isEmpty() ? standard.map(ConfigKey::text).orElse("") : note;
  }

  private static String text(Object value) {
    return switch (value) {
      case List<?> list when list.isEmpty() -> "none";
      case Double d when d == Math.rint(d) -> Long.toString(d.longValue());
      case Double d -> d.toString().replace(".0E", "e");
      default -> value.toString();
    };
  }

  /** A file of training data and how often it is used. */
  public record Weighted(Path file, double weight) {}

  /** What a key may be. */
  public sealed interface Kind {
    /** What is expected, for messages and the reference. */
    String expected();

    /** The checked value of what YAML or JSON gave, or empty if it is something else. */
    Optional<Object> value(Object found);
  }

  /** More than anybody waits for. */
  static final long UNBOUNDED = 1L << 40;

  /** A whole number; its value is a Long. */
  record Whole(long least, long most) implements Kind {
    @Override
    public String expected() {
      return least == Long.MIN_VALUE
          ? "a whole number"
          : "a whole number from " + least + (most < UNBOUNDED ? " to " + most : " up");
    }

    @Override
    public Optional<Object> value(Object found) {
      boolean whole = found instanceof Integer || found instanceof Long;
      long number = whole ? ((Number) found).longValue() : 0;
      return whole && number >= least && number <= most ? Optional.of(number) : Optional.empty();
    }
  }

  /** A number; its value is a Double. */
  record Decimal(double least, double most, boolean aboveLeast) implements Kind {
    @Override
    public String expected() {
      return "a number " + (aboveLeast ? "above " : "from ") + plain(least) + " to " + plain(most);
    }

    private static String plain(double bound) {
      return BigDecimal.valueOf(bound).stripTrailingZeros().toPlainString();
    }

    @Override
    public Optional<Object> value(Object found) {
      boolean number =
          found instanceof Integer
              || found instanceof Long
              || found instanceof Double
              || found instanceof BigInteger
              || found instanceof BigDecimal;
      double value = number ? ((Number) found).doubleValue() : Double.NaN;
      boolean within = (aboveLeast ? value > least : value >= least) && value <= most;
      return within ? Optional.of(value) : Optional.empty();
    }
  }

  /** One of a few words; its value is a String. */
  record Word(List<String> words) implements Kind {
    @Override
    public String expected() {
      return words.size() == 1
          ? words.getFirst()
          : String.join(", ", words.subList(0, words.size() - 1)) + " or " + words.getLast();
    }

    @Override
    public Optional<Object> value(Object found) {
      return found instanceof String && words.contains(found)
          ? Optional.of(found)
          : Optional.empty();
    }
  }

  /** Several of a few words, each once; its value is a List of String. */
  record Words(Word one) implements Kind {
    @Override
    public String expected() {
      return "a list of " + String.join(", ", one.words);
    }

    @Override
    public Optional<Object> value(Object found) {
      return found instanceof List<?> list
              && !list.isEmpty()
              && list.stream().allMatch(word -> one.value(word).isPresent())
              && Set.copyOf(list).size() == list.size()
          ? Optional.of(List.copyOf(list))
          : Optional.empty();
    }
  }

  /** Yes or no; its value is a Boolean. */
  record Flag() implements Kind {
    @Override
    public String expected() {
      return "true or false";
    }

    @Override
    public Optional<Object> value(Object found) {
      return found instanceof Boolean ? Optional.of(found) : Optional.empty();
    }
  }

  /** A text that is not empty; its value is a String. */
  record Text() implements Kind {
    @Override
    public String expected() {
      return "a text";
    }

    @Override
    public Optional<Object> value(Object found) {
      return found instanceof String text && !text.isEmpty()
          ? Optional.of(found)
          : Optional.empty();
    }
  }

  /** A list of texts that are not empty, or one; its value is a List of String. */
  record Texts() implements Kind {
    @Override
    public String expected() {
      return "a list of texts";
    }

    @Override
    public Optional<Object> value(Object found) {
      List<?> list = found instanceof List<?> several ? several : List.of(found);
      boolean texts = list.stream().allMatch(o -> o instanceof String text && !text.isEmpty());
      return texts ? Optional.of(List.copyOf(list)) : Optional.empty();
    }
  }

  /** A file or folder, from the working directory; its value is a Path. */
  record File() implements Kind {
    @Override
    public String expected() {
      return "the path of a file";
    }

    @Override
    public Optional<Object> value(Object found) {
      try {
        return found instanceof String text && !text.isBlank()
            ? Optional.of(Path.of(text))
            : Optional.empty();
      } catch (InvalidPathException _) {
        return Optional.empty();
      }
    }
  }

  /** Files, or one; with weights where they may have some. Its value is a List of Weighted. */
  record Files(boolean weights) implements Kind {
    @Override
    public String expected() {
      return "a file or a list of files"
          + (weights ? ", each a path or {file: PATH, weight: NUMBER above 0 to 1000}" : "");
    }

    @Override
    public Optional<Object> value(Object found) {
      List<?> list = found instanceof List<?> several ? several : List.of(found);
      var files = new ArrayList<Weighted>();
      for (Object one : list) {
        Optional<Weighted> file = file(one);
        if (file.isEmpty()) {
          return Optional.empty();
        }
        files.add(file.get());
      }
      return files.isEmpty() ? Optional.empty() : Optional.of(List.copyOf(files));
    }

    private Optional<Weighted> file(Object found) {
      Object path = found;
      Object weight = 1;
      if (weights && found instanceof Map<?, ?> entry) {
        if (!entry.keySet().stream().allMatch(key -> "file".equals(key) || "weight".equals(key))) {
          return Optional.empty();
        }
        path = entry.get("file");
        weight = entry.containsKey("weight") ? entry.get("weight") : weight;
      }
      Optional<Object> factor = new Decimal(0, 1000, true).value(weight);
      Optional<Object> file = new File().value(path);
      return file.isPresent() && factor.isPresent()
          ? Optional.of(new Weighted((Path) file.get(), (Double) factor.get()))
          : Optional.empty();
    }
  }

  /** Either of two; its value is that of the one that fits. */
  record Either(Kind first, Kind second) implements Kind {
    @Override
    public String expected() {
      return first.expected() + ", or " + second.expected();
    }

    @Override
    public Optional<Object> value(Object found) {
      return first.value(found).or(() -> second.value(found));
    }
  }
}
