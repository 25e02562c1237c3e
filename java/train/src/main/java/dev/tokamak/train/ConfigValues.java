// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import dev.tokamak.train.ConfigKey.Weighted;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The values of a configuration, each checked against its {@link ConfigKey}. */
final class ConfigValues {
  private static final int MOST_LETTERS = 80;

  private final String source;
  private final Map<String, Object> given = new LinkedHashMap<>();

  /**
   * @param source for messages
   * @param values sections are maps
   */
  ConfigValues(String source, Map<?, ?> values) {
    this.source = source;
    read("", values);
  }

  private void read(String section, Map<?, ?> values) {
    for (var entry : values.entrySet()) {
      String name = String.valueOf(entry.getKey());
      String path = section.isEmpty() ? name : section + "." + name;
      Optional<ConfigKey> key = ConfigKeys.find(path);
      if (ConfigKeys.isSection(path) && entry.getValue() instanceof Map<?, ?> below) {
        given.put(path, below);
        read(path, below);
      } else if (key.isPresent()) {
        ConfigKey.Kind kind = key.get().kind();
        Optional<Object> value = Optional.ofNullable(entry.getValue()).flatMap(kind::value);
        given.put(path, value.orElseThrow(() -> wrong(path, entry.getValue(), kind.expected())));
      } else if (ConfigKeys.isSection(path)) {
        throw wrong(path, entry.getValue(), "a section of " + known(path));
      } else {
        throw error(path, "unknown key" + near(section, name));
      }
    }
  }

  private static String near(String section, String name) {
    String prefix = section.isEmpty() ? "" : section + ".";
    Optional<String> here =
        Spelling.nearest(name, ConfigKeys.names(section)).map(prefix::concat);
    return here.or(() -> elsewhere(name))
        .map(near -> "; did you mean " + near + "?")
        .orElseGet(
            () -> (section.isEmpty() ? "; known: " : "; known here: ") + known(section));
  }

  /** A key of this name in another section. */
  private static Optional<String> elsewhere(String name) {
    return ConfigKeys.all().stream()
        .map(ConfigKey::path)
        .filter(path -> path.endsWith("." + name))
        .findFirst();
  }

  private static String known(String section) {
    return String.join(", ", ConfigKeys.names(section));
  }

  String source() {
    return source;
  }

  ConfigException error(String path, String problem) {
    return new ConfigException(source, path, problem);
  }

  ConfigException wrong(String path, Object found, String expected) {
    String text =
        switch (found) {
          case null -> "nothing";
          case String s -> "'" + s + "'";
          case Map<?, ?> _ -> "a section";
          case List<?> list when list.isEmpty() -> "an empty list";
          default -> found.toString();
        };
    String shown =
        text.length() <= MOST_LETTERS ? text : text.substring(0, MOST_LETTERS) + "…";
    return error(path, "found " + shown + ", expected " + expected);
  }

  /** Whether a key or section stands in the source. */
  boolean has(String path) {
    return given.containsKey(path);
  }

  private <T> Optional<T> value(String path, Class<T> type) {
    ConfigKey key = ConfigKeys.find(path).orElseThrow();
    return Optional.ofNullable(given.get(path)).or(key::standard).map(type::cast);
  }

  private ConfigException missing(String path) {
    String expected = ConfigKeys.find(path).orElseThrow().kind().expected();
    return error(path, "missing: expected " + expected);
  }

  Optional<Long> optionalLong(String path) {
    return value(path, Long.class);
  }

  long wholeLong(String path) {
    return optionalLong(path).orElseThrow(() -> missing(path));
  }

  int whole(String path) {
    return Math.toIntExact(wholeLong(path));
  }

  double decimal(String path) {
    return value(path, Double.class).orElseThrow(() -> missing(path));
  }

  boolean flag(String path) {
    return value(path, Boolean.class).orElseThrow(() -> missing(path));
  }

  Optional<String> optionalText(String path) {
    return value(path, String.class);
  }

  String text(String path) {
    return optionalText(path).orElseThrow(() -> missing(path));
  }

  /** The constant of an enumeration that is spelled as the key's word. */
  <E extends Enum<E>> E word(String path, Class<E> type) {
    return Enum.valueOf(type, text(path).toUpperCase(java.util.Locale.ROOT));
  }

  List<String> texts(String path) {
    return value(path, List.class).stream()
        .flatMap(list -> ((List<?>) list).stream())
        .map(String.class::cast)
        .toList();
  }

  Optional<Path> optionalFile(String path) {
    return given.get(path) instanceof Map ? Optional.empty() : value(path, Path.class);
  }

  Path file(String path) {
    return optionalFile(path).orElseThrow(() -> missing(path));
  }

  List<Weighted> files(String path) {
    Object value = given.get(path);
    return value instanceof List<?> list
        ? list.stream().map(Weighted.class::cast).toList()
        : List.of();
  }

  /** A number where files may stand too, or empty if they do. */
  Optional<Double> number(String path) {
    ConfigKey key = ConfigKeys.find(path).orElseThrow();
    Object value = given.getOrDefault(path, key.standard().orElse(null));
    return value instanceof Double number ? Optional.of(number) : Optional.empty();
  }
}
