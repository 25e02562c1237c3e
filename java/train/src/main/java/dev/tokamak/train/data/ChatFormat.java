// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import dev.tokamak.model.chat.ChatTemplate;
import dev.tokamak.model.chat.Message;
import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.jinja.TemplateException;
import dev.tokamak.model.tokenizer.TokenKind;
import dev.tokamak.model.tokenizer.Tokenizer;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** How a conversation becomes the text that a model learns: a chat template, with its source. */
public final class ChatFormat {
  /** OpenAI's ChatML, the format of models that are made here. */
  private static final String CHATML =
      "{% for message in messages %}"
          + "{{ '<|im_start|>' + message['role'] + '\\n' + (message['content'] or '')"
          + " + '<|im_end|>\\n' }}"
          + "{% endfor %}"
          + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

  private static final List<String> CHATML_TOKENS = List.of("<|im_start|>", "<|im_end|>");

  /** Roles by name. */
  private static final String PLAIN =
      "{% for message in messages %}"
          + "{{ message['role']|capitalize + ':\\n' + (message['content'] or '') }}"
          + "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}"
          + "{% endfor %}"
          + "{% if add_generation_prompt %}{{ 'Assistant:\\n' }}{% endif %}";

  /** Some templates write the date: the same one each time, so that examples stay the same. */
  private static final Clock CLOCK =
      Clock.fixed(Instant.parse("2025-01-01T12:00:00Z"), ZoneOffset.UTC);

  private final Metadata keys;
  private final ChatTemplate template;

  private ChatFormat(Metadata keys, ChatTemplate template) {
    this.keys = keys;
    this.template = template;
  }

  /**
   * The format of a model's file, which may have one template for all conversations and another for
   * those with tools; empty if it has none.
   *
   * @throws FormatException if a template is none
   */
  public static Optional<ChatFormat> of(Metadata file, Tokenizer tokenizer) {
    try {
      return ChatTemplate.of(file, tokenizer)
          .map(template -> new ChatFormat(file.under(ChatTemplate.KEY), template));
    } catch (TemplateException e) {
      throw new FormatException(file.source() + ": " + e.getMessage(), e);
    }
  }

  /**
   * A format that a configuration names: one template for all conversations.
   *
   * @param name for messages
   * @throws dev.tokamak.model.jinja.TemplateException if it is no template
   */
  public ChatFormat(String name, String source, Tokenizer tokenizer) {
    this(
        Metadata.of(name, Map.of(ChatTemplate.KEY, source)),
        ChatTemplate.of(name, source, tokenizer));
  }

  /** ChatML, for a model's tokens. */
  public static ChatFormat chatMl(Tokenizer tokenizer) {
    return new ChatFormat("ChatML", CHATML, tokenizer);
  }

  /** Whether a vocabulary has a control token for each mark of ChatML. */
  public static boolean hasChatMl(Tokenizer tokenizer) {
    return CHATML_TOKENS.stream().allMatch(text -> isControl(tokenizer, text));
  }

  /**
   * For a model without tokens for turns: {@code User:} and {@code Assistant:} on lines of their
   * own, and behind each answer the token that ends a text. Empty if there is no such token.
   */
  public static Optional<ChatFormat> plain(Tokenizer tokenizer) {
    return tokenizer.eos().isPresent()
            && isControl(tokenizer, tokenizer.piece(tokenizer.eos().getAsInt()))
        ? Optional.of(new ChatFormat("the plain template", PLAIN, tokenizer))
        : Optional.empty();
  }

  private static boolean isControl(Tokenizer tokenizer, String text) {
    OptionalInt token = tokenizer.find(text);
    return token.isPresent() && tokenizer.kind(token.getAsInt()) == TokenKind.CONTROL;
  }

  /** The text of its templates, which tells formats apart. */
  public String template() {
    return Stream.of(ChatTemplate.KEY, ChatTemplate.WITH_TOOLS)
        .map(key -> keys.string(key).orElse(""))
        .collect(Collectors.joining("\n"));
  }

  /** What a model's file says of its tokens, and that it chats in this format and no other. */
  public Metadata addedTo(Metadata tokenizer) {
    return tokenizer.without(ChatTemplate.KEY).with(keys);
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
