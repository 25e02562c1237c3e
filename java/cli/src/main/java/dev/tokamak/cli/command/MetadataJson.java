// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Json;
import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.format.MetadataArray;
import dev.tokamak.model.format.MetadataType;
import dev.tokamak.model.format.MetadataValue;
import java.util.List;
import tools.jackson.core.JsonGenerator;

/** Metadata as JSON values; what JSON has no value for stands as text. */
final class MetadataJson {
  private MetadataJson() {}

  /** Writes the value of a key. */
  static void write(JsonGenerator json, Metadata metadata, String key) {
    switch (metadata.value(key).orElseThrow()) {
      case MetadataValue.Int value -> json.writeNumber(value.toString());
      case MetadataValue.Real value when Double.isFinite(value.value()) ->
          json.writeNumber(value.toString());
      case MetadataValue.Bool(boolean value) -> json.writeBoolean(value);
      case MetadataValue.Array(MetadataArray array) -> write(json, metadata, key, array);
      case MetadataValue value -> json.writeString(value.toString());
    }
  }

  private static void write(
      JsonGenerator json, Metadata metadata, String key, MetadataArray array) {
    MetadataType element = array.elementType();
    try {
      if (element == MetadataType.STRING) {
        List<String> strings = metadata.strings(key).orElseThrow();
        json.writeArray(strings.toArray(String[]::new), 0, strings.size());
      } else if (element == MetadataType.BOOL) {
        json.writeStartArray();
        for (boolean value : metadata.bools(key).orElseThrow()) {
          json.writeBoolean(value);
        }
        json.writeEndArray();
      } else if (element.isFloat()) {
        Json.floats(json, metadata.floats(key).orElseThrow());
      } else if (element.isInteger()) {
        int[] values = metadata.ints(key).orElseThrow();
        json.writeArray(values, 0, values.length);
      } else {
        json.writeString(array.toString());
      }
    } catch (FormatException _) { // not UTF-8, or integers of more than 32 bits
      json.writeString(array.toString());
    }
  }
}
