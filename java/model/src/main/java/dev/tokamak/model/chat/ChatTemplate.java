// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.chat;

import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.jinja.Template;
import dev.tokamak.model.jinja.TemplateException;
import dev.tokamak.model.tokenizer.Tokenizer;
import java.time.Clock;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.UnaryOperator;

/**
 * How a model wants a conversation written: the Jinja template of its file ({@code
 * tokenizer.chat_template}), and the one for tools where there are two ({@code
 * tokenizer.chat_template.tool_use}). It sees {@code messages}, {@code tools} if there are some,
 * {@code add_generation_prompt}, {@code bos_token} and {@code eos_token}. Immutable, and safe to
 * share between threads.
 */
public final class ChatTemplate {
  /** Where GGUF files have it. */
  public static final String KEY = "tokenizer.chat_template";

  /** Where they have the one for conversations with tools, if it is another. */
  public static final String WITH_TOOLS = KEY + ".tool_use";

  private final Template plain;
  private final Template withTools;
  private final Map<String, String> tokens; // none where there is no model

  private ChatTemplate(Template plain, Template withTools, Map<String, String> tokens) {
    this.plain = plain;
    this.withTools = withTools;
    this.tokens = tokens;
  }

  /**
   * The template of a file, or empty if it has none.
   *
   * @throws TemplateException if it is no template
   * @throws FormatException if it is no text
   */
  public static Optional<ChatTemplate> of(Metadata metadata, Tokenizer tokenizer) {
    Optional<String> plain = metadata.string(KEY);
    Optional<String> tools = metadata.string(WITH_TOOLS);
    if (plain.isEmpty() && tools.isEmpty()) {
      return Optional.empty();
    }
    Optional<Template> main = plain.map(source -> Template.parse(KEY, source));
    Optional<Template> other = tools.map(source -> Template.parse(WITH_TOOLS, source));
    return Optional.of(
        new ChatTemplate(
            main.or(() -> other).get(),
            other.or(() -> main).get(),
            tokens(tokenizer)));
  }

  /**
   * A template from elsewhere, for a model's tokens.
   *
   * @param name for messages
   * @throws TemplateException if it is no template
   */
  public static ChatTemplate of(String name, String source, Tokenizer tokenizer) {
    Template template = Template.parse(name, source);
    return new ChatTemplate(template, template, tokens(tokenizer));
  }

  /** A template from elsewhere, for no model. */
  public static ChatTemplate of(String name, String source) {
    Template template = Template.parse(name, source);
    return new ChatTemplate(template, template, Map.of());
  }

  private static Map<String, String> tokens(Tokenizer tokenizer) {
    return Map.of(
        "bos_token", piece(tokenizer, tokenizer.bos()),
        "eos_token", piece(tokenizer, tokenizer.eos()));
  }

  private static String piece(Tokenizer tokenizer, OptionalInt token) {
    return token.isPresent() ? tokenizer.piece(token.getAsInt()) : "";
  }

  /**
   * The text of a conversation. Arguments of tool calls are given to the template as objects,
   * whichever way they came, and a content of null beside calls as null; to a template that cannot
   * take these, as texts of JSON, and as an empty text.
   *
   * @param tools as OpenAI's API describes them, or none
   * @param answer whether the assistant is to speak next: {@code add_generation_prompt}
   * @param clock what the template takes the date from
   * @throws TemplateException if the template refuses the conversation
   */
  public String render(List<Message> messages, List<?> tools, boolean answer, Clock clock) {
    var variables = new LinkedHashMap<String, Object>(Map.of("bos_token", "", "eos_token", ""));
    variables.putAll(tokens);
    if (!tools.isEmpty()) {
      variables.put("tools", tools);
    }
    variables.put("add_generation_prompt", answer);
    Optional<TemplateException> problem = Optional.empty();
    for (Form form : forms(messages)) {
      variables.put("messages", messages.stream().map(form::of).toList());
      try {
        return render(variables, clock);
      } catch (TemplateException e) {
        if (e.raised()) {
          throw problem.orElse(e);
        }
        problem = problem.or(() -> Optional.of(e));
      }
    }
    throw problem.orElseThrow();
  }

  /**
   * The text that a template makes of its variables as they are; those of the model's tokens, if
   * there is a model, are added unless they are there.
   *
   * @throws TemplateException if the template refuses them
   */
  public String render(Map<String, ?> variables, Clock clock) {
    var all = new LinkedHashMap<String, Object>(tokens);
    all.putAll(variables);
    Object tools = all.get("tools");
    boolean some = tools instanceof List<?> list && !list.isEmpty();
    return (some ? withTools : plain).render(all, clock).text();
  }

  /**
   * The tokens of a rendered text: names of control tokens become those tokens. BOS goes in front
   * if the model wants it and the template did not write it; nothing goes behind.
   */
  public static int[] encode(Tokenizer tokenizer, String text) {
    int[] tokens = tokenizer.encode(text, false, true);
    if (!tokenizer.addBos()) {
      return tokens;
    }
    int bos = tokenizer.bos().getAsInt();
    if (tokens.length > 0 && tokens[0] == bos) {
      return tokens;
    }
    int[] begun = new int[tokens.length + 1];
    begun[0] = bos;
    System.arraycopy(tokens, 0, begun, 1, tokens.length);
    return begun;
  }

  /** How calls are given to a template. */
  private record Form(UnaryOperator<Object> arguments, boolean nullContent) {
    /** A message's fields. */
    Map<String, Object> of(Message message) {
      var fields = new LinkedHashMap<>(message.fields());
      if (fields.get("tool_calls") instanceof List<?> calls) {
        fields.put("tool_calls", calls.stream().map(call -> changed(call, arguments)).toList());
        if (!nullContent && fields.get("content") == null) {
          fields.put("content", "");
        }
      }
      return fields;
    }
  }

  /** The forms to try, the preferred one first. */
  private static List<Form> forms(List<Message> messages) {
    var forms = new ArrayList<Form>(List.of(new Form(ToolArguments::object, true)));
    List<Message> calls =
        messages.stream().filter(m -> m.fields().get("tool_calls") != null).toList();
    if (!calls.isEmpty()) {
      forms.add(new Form(ToolArguments::text, true));
    }
    if (calls.stream().anyMatch(m -> m.fields().get("content") == null)) {
      forms.add(new Form(ToolArguments::object, false));
      forms.add(new Form(ToolArguments::text, false));
    }
    return forms;
  }

  private static Object changed(Object call, UnaryOperator<Object> form) {
    if (!(call instanceof Map<?, ?> map)
        || !(map.get("function") instanceof Map<?, ?> function)
        || !function.containsKey("arguments")) {
      return call;
    }
    var called = new LinkedHashMap<Object, Object>(function);
    called.put("arguments", form.apply(function.get("arguments")));
    var copy = new LinkedHashMap<Object, Object>(map);
    copy.put("function", called);
    return copy;
  }
}
