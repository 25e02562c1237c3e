// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

/**
 * A template cannot be read, or refuses what it is given. The message is one line that names the
 * template and the line in it: {@code chat_template: line 12: 'foo' is undefined}.
 */
public final class TemplateException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private static final int MOST_LETTERS = 1000;

  private final int line;
  private final String problem;
  private final boolean raised;

  TemplateException(String template, int line, String problem, boolean raised) {
    super(template + ": line " + line + ": " + readable(problem));
    this.line = line;
    this.problem = problem;
    this.raised = raised;
  }

  /** Line of the template, from 1. */
  public int line() {
    return line;
  }

  /** What is wrong, without template and line. */
  public String problem() {
    return problem;
  }

  /** Whether the template itself refused, by {@code raise_exception}. */
  public boolean raised() {
    return raised;
  }

  private static String readable(String text) {
    String line = text.replaceAll("\\p{Cntrl}+", " ").strip();
    return line.length() <= MOST_LETTERS ? line : line.substring(0, MOST_LETTERS) + "…";
  }
}
