// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import dev.tokamak.model.chat.ChatTemplate;
import dev.tokamak.model.chat.Message;
import dev.tokamak.model.tokenizer.Tokenizer;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;

/** How a conversation becomes the text that a model learns: a chat template, with its source. */
public final class ChatFormat {
  /** OpenAI's ChatML, the format of models that are made here. */
  private static final String CHATML =
      "{% for message in messages %}"
          + "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
          + "{% endfor %}"
          + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

  /** Some templates write the date: the same one each time, so that examples stay the same. */
  private static final Clock CLOCK =
      Clock.fixed(Instant.parse("2025-01-01T12:00:00Z"), ZoneOffset.UTC);

  private final String source;
  private final ChatTemplate template;

  /**
   * The format of a model, or one that a configuration names.
   *
   * @param name for messages
   * @throws dev.tokamak.model.jinja.TemplateException if it is no template
   */
  public ChatFormat(String name, String source, Tokenizer tokenizer) {
    this.source = source;
    template = ChatTemplate.of(name, source, tokenizer);
  }

  /** ChatML, for a model's tokens. */
  public static ChatFormat chatMl(Tokenizer tokenizer) {
    return new ChatFormat("ChatML", CHATML, tokenizer);
  }

  /** The template's text, which tells formats apart. */
  public String template() {
    return source;
  }

  /**
   * The text of some messages.
   *
   * @param tools as OpenAI describes them, or none
   * @param answer whether the assistant's answer is to follow
   * @throws dev.tokamak.model.jinja.TemplateException if the template refuses them
   */
  public String render(List<Message> messages, List<?> tools, boolean answer) {
    return template.render(messages, tools, answer, CLOCK);
  }
}
