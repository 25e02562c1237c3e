// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format;

import java.util.Locale;
import java.util.Optional;

/** The types a metadata value may have; the order is GGUF's numbering of them (its type ids). */
public enum MetadataType {
  UINT8(1),
  INT8(1),
  UINT16(2),
  INT16(2),
  UINT32(4),
  INT32(4),
  FLOAT32(4),
  BOOL(1),
  STRING(0),
  ARRAY(0),
  UINT64(8),
  INT64(8),
  FLOAT64(8);

  private static final MetadataType[] BY_ID = values();

  private final int bytes;

  MetadataType(int bytes) {
    this.bytes = bytes;
  }

  /** The type of a GGUF type id, or empty for an id that the format does not define. */
  public static Optional<MetadataType> byId(int id) {
    return id >= 0 && id < BY_ID.length ? Optional.of(BY_ID[id]) : Optional.empty();
  }

  /** GGUF's number for this type. */
  public int id() {
    return ordinal();
  }

  /** Bytes of one value in the packed form; 0 for string and array, whose length varies. */
  public int bytes() {
    return bytes;
  }

  /** Whether this is one of the eight integer types. */
  public boolean isInteger() {
    return switch (this) {
      case UINT8, INT8, UINT16, INT16, UINT32, INT32, UINT64, INT64 -> true;
      case FLOAT32, FLOAT64, BOOL, STRING, ARRAY -> false;
    };
  }

  /** Whether this is float32 or float64. */
  public boolean isFloat() {
    return this == FLOAT32 || this == FLOAT64;
  }

  /** The name that messages and listings use, such as {@code uint32}. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }
}
