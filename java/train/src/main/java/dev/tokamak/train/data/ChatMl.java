// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/** OpenAI's ChatML, the format of models that are made here. */
public final class ChatMl implements ChatFormat {
  /** The format; it has no settings. */
  public static final ChatFormat FORMAT = new ChatMl();

  private ChatMl() {}

  @Override
  public String template() {
    return CHATML;
  }

  @Override
  public String render(
      List<Map<String, Object>> messages, Optional<Object> tools, boolean answer) {
    var text = new StringBuilder();
    for (Map<String, Object> message : messages) {
      text.append("<|im_start|>").append(message.get("role")).append('\n');
      text.append(message.get("content")).append("<|im_end|>\n");
    }
    return text.append(answer ? "<|im_start|>assistant\n" : "").toString();
  }
}
