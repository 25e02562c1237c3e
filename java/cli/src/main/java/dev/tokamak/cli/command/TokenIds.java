// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Token ids as they stand on a command line: {@code 1,403,407}. */
record TokenIds(int[] ids) {

  static final class Converter implements ITypeConverter<TokenIds> {
    @Override
    public TokenIds convert(String value) {
      try {
        return parse(value);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }

  static TokenIds parse(String text) {
    String[] parts = text.isBlank() ? new String[0] : text.split(",", -1);
    int[] ids = new int[parts.length];
    for (int i = 0; i < parts.length; i++) {
      try {
        ids[i] = Integer.parseUnsignedInt(parts[i].strip());
      } catch (NumberFormatException _) {
        ids[i] = -1;
      }
      if (ids[i] < 0) {
        throw new IllegalArgumentException(
            "expected token ids such as 1,403,407, found '" + parts[i] + "'");
      }
    }
    return new TokenIds(ids);
  }
}
