// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.kernels;

import dev.tokamak.cli.Failure;
import dev.tokamak.cli.Json;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalDouble;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** What an earlier run measured: the object that it wrote with {@code --json}. */
public final class Baseline {
  /** What makes a row of one run that of another. */
  private record Key(String kernel, String type, String shape, String backend) {
    String name() {
      return kernel + "/" + type + "/" + shape;
    }
  }

  private final Map<Key, Double> seconds = new LinkedHashMap<>();

  private Baseline() {}

  /**
   * Reads what a run wrote; rows that it did not time are passed over.
   *
   * @param source names it in messages
   * @throws Failure that names the field at fault
   */
  public static Baseline parse(String source, String text) {
    Baseline baseline = new Baseline();
    boolean rows = false;
    try (JsonParser json = Json.parser(text)) {
      if (json.nextToken() != JsonToken.START_OBJECT) {
        throw new Failure(source + ": expected the object that bench kernels --json writes");
      }
      while (json.nextToken() != JsonToken.END_OBJECT) {
        String name = json.currentName();
        json.nextToken();
        if (name.equals("rows")) {
          baseline.readRows(source, json);
          rows = true;
        } else {
          json.skipChildren();
        }
      }
      if (json.nextToken() != null) {
        throw new Failure(source + ": more than one JSON value");
      }
    } catch (JacksonException e) {
      throw new Failure(source + ": " + Json.problem(e), e);
    }
    if (!rows) {
      throw new Failure(source + ": rows: missing");
    }
    return baseline;
  }

  private void readRows(String source, JsonParser json) {
    if (json.currentToken() != JsonToken.START_ARRAY) {
      throw new Failure(source + ": rows: expected an array");
    }
    for (int i = 0; json.nextToken() != JsonToken.END_ARRAY; i++) {
      readRow(source + ": rows[" + i + "]", json);
    }
  }

  private void readRow(String place, JsonParser json) {
    if (json.currentToken() != JsonToken.START_OBJECT) {
      throw new Failure(place + ": expected an object");
    }
    Map<String, String> texts = new LinkedHashMap<>();
    boolean timed = false;
    double value = Double.NaN;
    while (json.nextToken() != JsonToken.END_OBJECT) {
      String name = json.currentName();
      JsonToken token = json.nextToken();
      switch (name) {
        case "kernel", "type", "shape", "backend" -> {
          if (token != JsonToken.VALUE_STRING) {
            throw new Failure(place + "." + name + ": expected a text");
          }
          texts.put(name, json.getString());
        }
        case "seconds" -> {
          timed = true;
          value = token == JsonToken.VALUE_NULL ? Double.NaN : seconds(place, json);
        }
        default -> json.skipChildren();
      }
    }
    for (String name : List.of("kernel", "type", "shape", "backend")) {
      if (!texts.containsKey(name)) {
        throw new Failure(place + "." + name + ": missing");
      }
    }
    if (!timed) {
      throw new Failure(place + ".seconds: missing");
    }
    Key key =
        new Key(texts.get("kernel"), texts.get("type"), texts.get("shape"), texts.get("backend"));
    if (!Double.isNaN(value) && seconds.put(key, value) != null) {
      throw new Failure(place + ": " + key.name() + " stands twice");
    }
  }

  private static double seconds(String place, JsonParser json) {
    double value = json.currentToken().isNumeric() ? json.getDoubleValue() : 0;
    if (!(value > 0) || Double.isInfinite(value)) {
      throw new Failure(
          place + ".seconds: expected a number above 0 or null, found "
              + Objects.toString(json.getString(), json.currentToken().asString()));
    }
    return value;
  }

  /** Seconds that the kernel took then, on a backend of this name. */
  public OptionalDouble seconds(Kernel kernel, String backend) {
    Double then = seconds.get(key(kernel, backend));
    return then == null ? OptionalDouble.empty() : OptionalDouble.of(then);
  }

  /** Names of rows of this backend that are not among these kernels. */
  public List<String> missing(List<Kernel> kernels, String backend) {
    List<Key> here = kernels.stream().map(kernel -> key(kernel, backend)).toList();
    return seconds.keySet().stream()
        .filter(key -> key.backend.equals(backend) && !here.contains(key))
        .map(Key::name)
        .toList();
  }

  private static Key key(Kernel kernel, String backend) {
    return new Key(kernel.operation(), kernel.typeName(), kernel.shape(), backend);
  }
}
