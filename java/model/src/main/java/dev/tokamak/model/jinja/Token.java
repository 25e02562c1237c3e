// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

/**
 * A piece of a template.
 *
 * @param text as it stands: of a string, its value
 * @param value of a number
 * @param line from 1
 */
record Token(Kind kind, String text, Object value, int line) {
  enum Kind {
    /** Text between the tags. */
    DATA,
    BLOCK_BEGIN,
    BLOCK_END,
    VARIABLE_BEGIN,
    VARIABLE_END,
    NAME,
    STRING,
    NUMBER,
    OPERATOR,
    END
  }

  boolean is(String operator) {
    return kind == Kind.OPERATOR && text.equals(operator);
  }

  boolean isName(String name) {
    return kind == Kind.NAME && text.equals(name);
  }

  String describe() {
    return switch (kind) {
      case DATA -> "text";
      case BLOCK_BEGIN -> "{%";
      case BLOCK_END -> "end of statement block";
      case VARIABLE_BEGIN -> "{{";
      case VARIABLE_END -> "end of print statement";
      case END -> "end of template";
      case STRING -> "a string";
      case NAME, NUMBER, OPERATOR -> "'" + text + "'";
    };
  }
}
