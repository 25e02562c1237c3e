// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** A whole number of at least 1. */
class Whole implements ITypeConverter<Integer> {
  private final int least;

  Whole() {
    this(1);
  }

  private Whole(int least) {
    this.least = least;
  }

  /** A whole number of at least 0. */
  static final class OrZero extends Whole {
    OrZero() {
      super(0);
    }
  }

  @Override
  public Integer convert(String value) {
    try {
      int number = Integer.parseInt(value);
      if (number >= least) {
        return number;
      }
    } catch (NumberFormatException _) {
      // the same words
    }
    throw new TypeConversionException(
        "expected a whole number from " + least + " to " + Integer.MAX_VALUE + ", found '" + value
            + "'");
  }
}
