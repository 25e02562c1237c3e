// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import dev.tokamak.generate.Event.Finished;
import dev.tokamak.generate.Event.Token;
import dev.tokamak.model.Model;
import dev.tokamak.model.chat.ChatTemplate;
import dev.tokamak.model.chat.Message;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * A conversation between a user and a model: messages, which the model's chat template makes a text
 * of, and the session that has read it. Each turn reads what is new alone; what is written as
 * before stays in the cache. Used by one thread at a time, but for {@link #cancel}.
 */
public final class Dialogue implements AutoCloseable {
  private static final String SYSTEM = "system";
  private static final String USER = "user";
  private static final String ASSISTANT = "assistant";

  private final Model model;
  private final ChatTemplate template;
  private final Clock clock;
  private final Session session;
  private final List<Message> messages = new ArrayList<>();

  /**
   * An empty conversation.
   *
   * @param clock what the template takes the date from
   * @throws dev.tokamak.backend.BackendException if there is not enough memory
   */
  public Dialogue(Model model, ChatTemplate template, Capacity capacity, Clock clock) {
    this.model = model;
    this.template = template;
    this.clock = clock;
    session = new Session(model, capacity);
  }

  /** All that was said. */
  public List<Message> messages() {
    return List.copyOf(messages);
  }

  /** Another conversation in place of this one. */
  public void messages(List<Message> value) {
    messages.clear();
    messages.addAll(value);
  }

  /** What the system message says. */
  public Optional<String> system() {
    return hasSystem() ? messages.getFirst().content() : Optional.empty();
  }

  /** Sets what the system message says, empty for none; the rest stays. */
  public void system(Optional<String> text) {
    if (hasSystem()) {
      messages.removeFirst();
    }
    text.ifPresent(said -> messages.addFirst(Message.of(SYSTEM, said)));
  }

  private boolean hasSystem() {
    return !messages.isEmpty() && messages.getFirst().role().equals(SYSTEM);
  }

  /** Forgets all but the system message. */
  public void reset() {
    Optional<String> system = system();
    messages.clear();
    system(system);
  }

  /** Takes back the user's last message and what followed, if there is one, and gives it. */
  public Optional<String> undo() {
    for (int i = messages.size() - 1; i >= 0; i--) {
      Message message = messages.get(i);
      if (message.role().equals(USER)) {
        messages.subList(i, messages.size()).clear();
        return Optional.of(message.content().orElse(""));
      }
    }
    return Optional.empty();
  }

  /**
   * Says something and generates the answer, which becomes part of the conversation, be it cut off.
   * If it fails, or was cancelled before its first letter, nothing was said.
   *
   * @param listener hears each token as it comes
   * @throws PromptException if the conversation does not fit into the context
   * @throws dev.tokamak.model.jinja.TemplateException if the template refuses it
   */
  public Finished say(String text, GenerateOptions options, Consumer<? super Token> listener) {
    messages.add(Message.of(USER, text));
    boolean answered = false;
    try {
      Finished answer = answer(options, listener);
      answered = answer.reason() != FinishReason.CANCELLED || !answer.text().isEmpty();
      if (answered) {
        messages.add(Message.of(ASSISTANT, answer.text()));
      }
      return answer;
    } finally {
      if (!answered) {
        messages.removeLast();
      }
    }
  }

  private Finished answer(GenerateOptions options, Consumer<? super Token> listener) {
    String text = template.render(messages, List.of(), true, clock);
    int[] tokens = ChatTemplate.encode(model.tokenizer(), text);
    int context = session.capacity().context();
    if (tokens.length >= context) {
      throw new PromptException(
          "the conversation of " + tokens.length + " tokens leaves no room for an answer in the"
              + " context of " + context + ": begin anew or take something back, or make the"
              + " context larger (--ctx)");
    }
    int same = Arrays.mismatch(session.tokens(), tokens);
    // the last token is read again where nothing is new: its logits are needed
    session.truncate(same < 0 ? tokens.length - 1 : Math.min(same, tokens.length - 1));
    int[] fresh = Arrays.copyOfRange(tokens, session.length(), tokens.length);
    return session.generate(fresh, options, listener);
  }

  /** Ends a running answer before its next token. Any thread may call this. */
  public void cancel() {
    session.cancel();
  }

  /** Tokens that the session holds, and the model has read but for the last. */
  public int length() {
    return session.length();
  }

  public Capacity capacity() {
    return session.capacity();
  }

  /** Bytes of activations and cache. */
  public long bytes() {
    return session.bytes();
  }

  /** Frees the memory. */
  @Override
  public void close() {
    session.close();
  }
}
