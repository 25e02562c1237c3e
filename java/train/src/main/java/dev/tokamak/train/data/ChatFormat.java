// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/** How a conversation becomes the text that a model sees. */
public interface ChatFormat {
  /** The template's text, which tells formats apart. */
  String template();

  /**
   * The text of some messages.
   *
   * @param messages each with {@code role} and {@code content} at least
   * @param answer whether the assistant's answer is to follow
   */
  String render(List<Map<String, Object>> messages, Optional<Object> tools, boolean answer);

  /** OpenAI's ChatML, the format of models that are made here, as a Jinja template. */
  String CHATML =
      "{% for message in messages %}"
          + "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
          + "{% endfor %}"
          + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
}
