// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;

/**
 * The keys and values of a model file, in the file's order, with the file's name for messages.
 *
 * <p>An accessor gives empty for a key that is absent and throws {@link FormatException} for one of
 * another type, as in {@code a.gguf: metadata key tokenizer.ggml.tokens: expected array of string,
 * found uint32}; its {@code require} form throws for an absent key too. Any integer type serves
 * where an integer is asked for, and any integer or float type where a number is. Immutable.
 */
public final class Metadata {
  private final String source;
  private final Map<String, MetadataValue> values;

  private Metadata(String source, LinkedHashMap<String, MetadataValue> values) {
    this.source = source;
    this.values = Collections.unmodifiableMap(values);
  }

  /**
   * Metadata from typed values.
   *
   * @param source the file's name, for messages
   */
  public static Metadata ofValues(String source, Map<String, MetadataValue> values) {
    return new Metadata(source, new LinkedHashMap<>(values));
  }

  /**
   * Metadata from Java values. An {@code Integer} becomes uint32 (int32 if negative), a {@code
   * Long} uint64 (int64 if negative), {@code Float} float32, {@code Double} float64, then {@code
   * Boolean}, {@code String}, {@code List<String>}, {@code String[]}, {@code int[]}, {@code
   * long[]}, {@code float[]}, {@code double[]}, {@code boolean[]}, {@link MetadataArray} and {@link
   * MetadataValue}.
   *
   * @throws IllegalArgumentException for a value of any other class
   */
  public static Metadata of(String source, Map<String, ?> values) {
    var typed = new LinkedHashMap<String, MetadataValue>();
    values.forEach((key, value) -> typed.put(key, typed(key, value)));
    return new Metadata(source, typed);
  }

  /**
   * The same metadata with one key set (a class that {@link #of} takes), at its old place or last.
   */
  public Metadata with(String key, Object value) {
    var changed = new LinkedHashMap<>(values);
    changed.put(key, typed(key, value));
    return new Metadata(source, changed);
  }

  /** The same metadata with all keys of another set, each at its old place or behind. */
  public Metadata with(Metadata other) {
    var changed = new LinkedHashMap<>(values);
    changed.putAll(other.values);
    return new Metadata(source, changed);
  }

  /** The keys that begin with a prefix. */
  public Metadata under(String prefix) {
    var some = new LinkedHashMap<>(values);
    some.keySet().removeIf(key -> !key.startsWith(prefix));
    return new Metadata(source, some);
  }

  /** The keys that do not begin with a prefix. */
  public Metadata without(String prefix) {
    var some = new LinkedHashMap<>(values);
    some.keySet().removeIf(key -> key.startsWith(prefix));
    return new Metadata(source, some);
  }

  private static MetadataValue typed(String key, Object value) {
    return switch (value) {
      case MetadataValue v -> v;
      case MetadataArray v -> new MetadataValue.Array(v);
      case Integer v -> new MetadataValue.Int(v < 0 ? MetadataType.INT32 : MetadataType.UINT32, v);
      case Long v -> new MetadataValue.Int(v < 0 ? MetadataType.INT64 : MetadataType.UINT64, v);
      case Float v -> new MetadataValue.Real(MetadataType.FLOAT32, v);
      case Double v -> new MetadataValue.Real(MetadataType.FLOAT64, v);
      case Boolean v -> new MetadataValue.Bool(v);
      case String v -> new MetadataValue.Text(v);
      case List<?> v ->
          new MetadataValue.Array(MetadataArray.of(v.stream().map(String.class::cast).toList()));
      case String[] v -> new MetadataValue.Array(MetadataArray.of(List.of(v)));
      case int[] v -> new MetadataValue.Array(MetadataArray.of(v));
      case long[] v -> new MetadataValue.Array(MetadataArray.of(v));
      case float[] v -> new MetadataValue.Array(MetadataArray.of(v));
      case double[] v -> new MetadataValue.Array(MetadataArray.of(v));
      case boolean[] v -> new MetadataValue.Array(MetadataArray.of(v));
      default ->
          throw new IllegalArgumentException(
              "metadata key " + key + ": no metadata type for " + value.getClass().getName());
    };
  }

  /** The file's name, as messages give it. */
  public String source() {
    return source;
  }

  /** The keys in the file's order. */
  public Set<String> keys() {
    return values.keySet();
  }

  public boolean has(String key) {
    return values.containsKey(key);
  }

  public Optional<MetadataValue> value(String key) {
    return Optional.ofNullable(values.get(key));
  }

  public Optional<String> string(String key) {
    return switch (values.get(key)) {
      case null -> Optional.empty();
      case MetadataValue.Text(String text) -> Optional.of(text);
      case MetadataValue other -> throw wrongType(key, "string", other);
    };
  }

  public String requireString(String key) {
    return string(key).orElseThrow(() -> missing(key, "string"));
  }

  /** An integer of any width; a uint64 of 2^63 or more is an error. */
  public OptionalLong integer(String key) {
    return switch (values.get(key)) {
      case null -> OptionalLong.empty();
      case MetadataValue.Int i -> {
        if (!i.fitsLong()) {
          throw problem(key, "expected an integer below 2^63, found " + i);
        }
        yield OptionalLong.of(i.bits());
      }
      case MetadataValue other -> throw wrongType(key, "an integer", other);
    };
  }

  public long requireInteger(String key) {
    return integer(key).orElseThrow(() -> missing(key, "an integer"));
  }

  /** An integer of any width, whose value must fit an {@code int}. */
  public OptionalInt integer32(String key) {
    OptionalLong value = integer(key);
    return value.isPresent() ? OptionalInt.of(narrow(key, value.getAsLong())) : OptionalInt.empty();
  }

  /** As {@link #integer32}, for a key that must be there. */
  public int requireInt(String key) {
    return narrow(key, requireInteger(key));
  }

  public OptionalDouble number(String key) {
    return switch (values.get(key)) {
      case null -> OptionalDouble.empty();
      case MetadataValue.Real real -> OptionalDouble.of(real.value());
      case MetadataValue.Int _ -> OptionalDouble.of(integer(key).getAsLong());
      case MetadataValue other -> throw wrongType(key, "a number", other);
    };
  }

  public double requireNumber(String key) {
    return number(key).orElseThrow(() -> missing(key, "a number"));
  }

  public Optional<Boolean> bool(String key) {
    return switch (values.get(key)) {
      case null -> Optional.empty();
      case MetadataValue.Bool(boolean value) -> Optional.of(value);
      case MetadataValue other -> throw wrongType(key, "bool", other);
    };
  }

  /** An array of string; decoded at the first call, the same unmodifiable list at later ones. */
  public Optional<List<String>> strings(String key) {
    return array(key, MetadataType.STRING)
        .map(array -> array.strings(source, "metadata key " + key));
  }

  public List<String> requireStrings(String key) {
    return strings(key).orElseThrow(() -> missing(key, "array of string"));
  }

  /** A fresh copy of an array of any integer type; each element must fit an {@code int}. */
  public Optional<int[]> ints(String key) {
    return numbers(key, "array of integers", false)
        .map(
            array -> {
              int[] out = new int[array.size()];
              for (int i = 0; i < out.length; i++) {
                long value = array.integer(i);
                boolean above = value < 0 && array.elementType() == MetadataType.UINT64;
                if (above || value != (int) value) {
                  String found = above ? Long.toUnsignedString(value) : Long.toString(value);
                  throw problem(key + "[" + i + "]", "expected a 32-bit integer, found " + found);
                }
                out[i] = (int) value;
              }
              return out;
            });
  }

  /** A fresh copy of an array of any integer or float type, rounded to float. */
  public Optional<float[]> floats(String key) {
    return numbers(key, "array of numbers", true)
        .map(
            array -> {
              float[] out = new float[array.size()];
              for (int i = 0; i < out.length; i++) {
                out[i] = (float) array.number(i);
              }
              return out;
            });
  }

  /** A fresh copy of an array of bool. */
  public Optional<boolean[]> bools(String key) {
    return array(key, MetadataType.BOOL)
        .map(
            array -> {
              boolean[] out = new boolean[array.size()];
              for (int i = 0; i < out.length; i++) {
                out[i] = array.integer(i) != 0;
              }
              return out;
            });
  }

  private Optional<MetadataArray> array(String key, MetadataType element) {
    MetadataValue value = values.get(key);
    if (value == null) {
      return Optional.empty();
    }
    if (value instanceof MetadataValue.Array(MetadataArray array)
        && array.elementType() == element) {
      return Optional.of(array);
    }
    throw wrongType(key, "array of " + element.label(), value);
  }

  private Optional<MetadataArray> numbers(String key, String expected, boolean floats) {
    MetadataValue value = values.get(key);
    if (value == null) {
      return Optional.empty();
    }
    if (value instanceof MetadataValue.Array(MetadataArray array)
        && (array.elementType().isInteger() || floats && array.elementType().isFloat())) {
      return Optional.of(array);
    }
    throw wrongType(key, expected, value);
  }

  private int narrow(String key, long value) {
    if (value != (int) value) {
      throw problem(key, "expected a 32-bit integer, found " + value);
    }
    return (int) value;
  }

  private FormatException missing(String key, String expected) {
    return problem(key, "missing, expected " + expected);
  }

  private FormatException wrongType(String key, String expected, MetadataValue found) {
    return problem(key, "expected " + expected + ", found " + found.label());
  }

  private FormatException problem(String key, String problem) {
    return FormatException.at(source, "metadata key " + key, problem);
  }
}
