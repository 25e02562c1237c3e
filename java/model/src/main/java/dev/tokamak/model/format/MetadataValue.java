// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format;

/** One metadata value with the type that the file gave it. */
public sealed interface MetadataValue {

  MetadataType type();

  /** What this value is, for messages: {@code uint32}, or {@code array of string}. */
  default String label() {
    return type().label();
  }

  /**
   * An integer of any width.
   *
   * @param bits the value, sign- or zero-extended; a uint64 above {@link Long#MAX_VALUE} is
   *     negative here, which {@link #toString} and {@link Metadata} know
   */
  record Int(MetadataType type, long bits) implements MetadataValue {
    public Int {
      if (!type.isInteger()) {
        throw new IllegalArgumentException("not an integer type: " + type.label());
      }
    }

    /** Whether {@link #bits} is the value itself. */
    boolean fitsLong() {
      return type != MetadataType.UINT64 || bits >= 0;
    }

    @Override
    public String toString() {
      return type == MetadataType.UINT64 ? Long.toUnsignedString(bits) : Long.toString(bits);
    }
  }

  /** A float32 (widened) or float64. */
  record Real(MetadataType type, double value) implements MetadataValue {
    public Real {
      if (!type.isFloat()) {
        throw new IllegalArgumentException("not a float type: " + type.label());
      }
    }

    @Override
    public String toString() {
      return type == MetadataType.FLOAT32 ? Float.toString((float) value) : Double.toString(value);
    }
  }

  /** A boolean. */
  record Bool(boolean value) implements MetadataValue {
    @Override
    public MetadataType type() {
      return MetadataType.BOOL;
    }

    @Override
    public String toString() {
      return Boolean.toString(value);
    }
  }

  /** A string. */
  record Text(String value) implements MetadataValue {
    @Override
    public MetadataType type() {
      return MetadataType.STRING;
    }

    @Override
    public String toString() {
      return value;
    }
  }

  /** An array; see {@link MetadataArray}. */
  record Array(MetadataArray elements) implements MetadataValue {
    @Override
    public MetadataType type() {
      return MetadataType.ARRAY;
    }

    @Override
    public String label() {
      return elements.label();
    }

    @Override
    public String toString() {
      return elements.toString();
    }
  }
}
