// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import dev.tokamak.model.jinja.Lexer.Unreadable;
import java.time.Clock;
import java.util.List;
import java.util.Map;

/**
 * A template in the language of Jinja2 3.1, as Hugging Face's transformers sets it up for chat
 * templates: {@code trim_blocks} and {@code lstrip_blocks} are on, values cannot be changed, and
 * {@code break}, {@code continue}, {@code generation}, {@code raise_exception} and {@code
 * strftime_now} are there. Other files cannot be reached: no {@code include}, {@code import},
 * {@code extends}. What a rendering may cost is limited, whatever the template says. Immutable, and
 * safe to share between threads.
 */
public final class Template {
  private final String name;
  private final List<Node.Statement> body;

  private Template(String name, List<Node.Statement> body) {
    this.name = name;
    this.body = body;
  }

  /**
   * What a template made.
   *
   * @param generated the parts of the text that stand in {@code generation} tags
   */
  public record Rendered(String text, List<Span> generated) {}

  /** Part of a text, from {@code start} to before {@code end}. */
  public record Span(int start, int end) {}

  /**
   * Reads a template.
   *
   * @param name for messages
   * @throws TemplateException if it is not one
   */
  public static Template parse(String name, String source) {
    try {
      return new Template(name, Parser.parse(source));
    } catch (Unreadable e) {
      throw new TemplateException(name, e.line(), e.getMessage(), false);
    } catch (StackOverflowError _) {
      throw new TemplateException(name, 1, "nested too deeply", false);
    }
  }

  /** What messages call it. */
  public String name() {
    return name;
  }

  /**
   * Fills the template in.
   *
   * @param variables by name: null, booleans, numbers, texts, lists and maps of them
   * @param clock what {@code strftime_now} reads, in its zone
   * @throws TemplateException if the template refuses the values, or is wrong
   * @throws IllegalArgumentException for a value of another kind
   */
  public Rendered render(Map<String, ?> variables, Clock clock) {
    var interpreter = new Interpreter(clock);
    try {
      return interpreter.render(body, variables);
    } catch (Failed e) {
      throw new TemplateException(name, interpreter.line(), e.getMessage(), e.raised());
    } catch (StackOverflowError _) {
      throw new TemplateException(name, interpreter.line(), "nested too deeply", false);
    }
  }
}
