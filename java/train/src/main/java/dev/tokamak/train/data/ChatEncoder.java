// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import dev.tokamak.model.chat.ChatTemplate;
import dev.tokamak.model.chat.Message;
import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.jinja.TemplateException;
import dev.tokamak.model.tokenizer.Tokenizer;
import dev.tokamak.train.data.Conversation.Turn;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;

/**
 * Makes tokens of conversations and marks those that are to be learned: what the assistant says, to
 * the token that ends its turn. Prompt and answer are encoded apart, as they are when the model
 * answers.
 */
public final class ChatEncoder {
  private final Tokenizer tokenizer;
  private final ChatFormat format;

  /** A sequence with its marks. */
  record Marked(int[] tokens, BitSet marks) {}

  /** A stretch of a conversation's text. */
  private record Stretch(String text, boolean learned) {}

  ChatEncoder(Tokenizer tokenizer, ChatFormat format) {
    this.tokenizer = tokenizer;
    this.format = format;
  }

  /**
   * The sequences of a conversation: one, or, where the template writes earlier turns otherwise than
   * the last one, one for each turn that is to be learned.
   */
  List<Marked> encode(Conversation conversation) {
    List<Turn> turns = conversation.turns();
    requireTools(conversation);
    String whole = render(conversation, turns.size(), false);
    var stretches = new ArrayList<Stretch>();
    int done = 0;
    for (int i = 0; i < turns.size(); i++) {
      if (turns.get(i).learned()) {
        String prompt = render(conversation, i, true);
        String answered = render(conversation, i + 1, false);
        if (!whole.startsWith(answered) || !answered.startsWith(prompt)
            || prompt.length() < done) {
          return turnByTurn(conversation);
        }
        stretches.add(new Stretch(whole.substring(done, prompt.length()), false));
        stretches.add(new Stretch(answer(conversation, i, prompt, answered), true));
        done = answered.length();
      }
    }
    return List.of(encode(stretches));
  }

  private List<Marked> turnByTurn(Conversation conversation) {
    var sequences = new ArrayList<Marked>();
    for (int i = 0; i < conversation.turns().size(); i++) {
      if (conversation.turns().get(i).learned()) {
        String prompt = render(conversation, i, true);
        String answered = render(conversation, i + 1, false);
        if (!answered.startsWith(prompt)) {
          throw new FormatException(
              conversation.place()
                  + ": the chat template writes a prompt otherwise once it is answered, so what"
                  + " the assistant says cannot be told apart");
        }
        sequences.add(
            encode(
                List.of(
                    new Stretch(prompt, false),
                    new Stretch(answer(conversation, i, prompt, answered), true))));
      }
    }
    return sequences;
  }

  /** What a turn writes behind its prompt. */
  private static String answer(
      Conversation conversation, int turn, String prompt, String answered) {
    if (answered.length() == prompt.length()) {
      throw new FormatException(
          conversation.place()
              + ": the chat template writes nothing of what the assistant says; data.template"
              + " gives another");
    }
    String answer = answered.substring(prompt.length());
    if (!conversation.turns().get(turn).calls().stream().allMatch(answer::contains)) {
      throw new FormatException(
          conversation.place()
              + ": the chat template writes no tool calls; data.template gives one that does");
    }
    return answer;
  }

  /** A model that is not told of its tools would learn to call what it cannot know. */
  private void requireTools(Conversation conversation) {
    if (conversation.tools().isEmpty()) {
      return;
    }
    int first = 0;
    while (!conversation.turns().get(first).learned()) {
      first++;
    }
    if (render(conversation, first, true).equals(render(conversation, List.of(), first, true))) {
      throw new FormatException(
          conversation.place()
              + ": the chat template writes no tools; data.template gives one that does");
    }
  }

  /** The first messages as text. */
  private String render(Conversation conversation, int count, boolean answer) {
    return render(conversation, conversation.tools(), count, answer);
  }

  private String render(Conversation conversation, List<?> tools, int count, boolean answer) {
    List<Message> messages =
        conversation.turns().stream().limit(count).map(Turn::message).toList();
    try {
      return format.render(messages, tools, answer);
    } catch (TemplateException e) {
      throw new FormatException(conversation.place() + ": " + e.getMessage(), e);
    }
  }

  private Marked encode(List<Stretch> stretches) {
    var tokens = new ArrayList<int[]>();
    int length = 0;
    var marks = new BitSet();
    for (Stretch stretch : stretches) {
      int[] ids = ids(stretch.text, length == 0);
      tokens.add(ids);
      if (stretch.learned) {
        int end = turnEnd(ids);
        marks.set(length, length + end);
        if (stretch == stretches.getLast() && !endsTurn(ids, end)) {
          int[] eos = tokenizer.eos().stream().toArray();
          tokens.add(eos);
          marks.set(length + end, length + end + eos.length);
          length += eos.length;
        } else if (stretch == stretches.getLast()) {
          tokens.set(tokens.size() - 1, Arrays.copyOf(ids, end));
          length += end - ids.length;
        }
      }
      length += ids.length;
    }
    marks.clear(0); // nothing stands before it
    int[] all = new int[length];
    int at = 0;
    for (int[] ids : tokens) {
      System.arraycopy(ids, 0, all, at, ids.length);
      at += ids.length;
    }
    return new Marked(all, marks);
  }

  /** The tokens before the answer to a conversation. */
  public static int[] prompt(
      Tokenizer tokenizer, ChatFormat format, List<Message> messages) {
    String prompt = format.render(messages, List.of(), true);
    return new ChatEncoder(tokenizer, format).ids(prompt, true);
  }

  private int[] ids(String text, boolean first) {
    return first ? ChatTemplate.encode(tokenizer, text) : tokenizer.encode(text, false, true);
  }

  /** Tokens of an answer to the one that ends its turn; what a template writes behind is layout. */
  private int turnEnd(int[] ids) {
    for (int i = ids.length; i > 0; i--) {
      if (tokenizer.isEnd(ids[i - 1])) {
        return i;
      }
    }
    return ids.length;
  }

  private boolean endsTurn(int[] ids, int end) {
    return end > 0 && tokenizer.isEnd(ids[end - 1]);
  }
}
