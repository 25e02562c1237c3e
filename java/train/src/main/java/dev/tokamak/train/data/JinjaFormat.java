// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import dev.tokamak.model.jinja.Template;
import dev.tokamak.model.tokenizer.Tokenizer;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/** A chat template that came with a model, or that a configuration names. */
public final class JinjaFormat implements ChatFormat {
  /** Some templates write the date: the same one each time, so that examples stay the same. */
  private static final Clock CLOCK =
      Clock.fixed(Instant.parse("2025-01-01T12:00:00Z"), ZoneOffset.UTC);

  private final String text;
  private final Template template;
  private final Tokenizer tokenizer;

  /**
   * Reads a template.
   *
   * @param name for messages
   * @throws dev.tokamak.model.jinja.TemplateException if it is not one
   */
  public JinjaFormat(String name, String text, Tokenizer tokenizer) {
    this.text = text;
    this.tokenizer = tokenizer;
    template = Template.parse(name, text);
  }

  @Override
  public String template() {
    return text;
  }

  @Override
  public String render(
      List<Map<String, Object>> messages, Optional<Object> tools, boolean answer) {
    Map<String, Object> variables = new HashMap<>();
    variables.put("messages", messages);
    tools.ifPresent(some -> variables.put("tools", some));
    variables.put("add_generation_prompt", answer);
    variables.put("bos_token", piece(tokenizer.bos()));
    variables.put("eos_token", piece(tokenizer.eos()));
    return template.render(variables, CLOCK).text();
  }

  private String piece(OptionalInt token) {
    return token.isPresent() ? tokenizer.piece(token.getAsInt()) : "";
  }
}
