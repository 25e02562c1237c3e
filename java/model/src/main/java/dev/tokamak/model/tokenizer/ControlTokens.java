// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The tokens that a new vocabulary has besides text. They are found in a text only where that is
 * asked for ({@link Tokenizer#encode}); tokens of well-known names, {@code <|endoftext|>} and
 * {@code <|im_end|>} among them, end a generation ({@link Tokenizer#isEnd}).
 *
 * @param names their texts, in the order of their ids
 * @param bos the one of them that begins a text
 * @param eos the one of them that ends a text
 * @param addBos whether {@code bos} goes in front of a text
 */
public record ControlTokens(
    List<String> names, Optional<String> bos, Optional<String> eos, boolean addBos) {
  private static final String END_OF_TEXT = "<|endoftext|>";

  /**
   * @throws IllegalArgumentException if a name is empty or there twice, {@code bos} or {@code eos}
   *     is none of them, or {@code addBos} is true without {@code bos}
   */
  public ControlTokens {
    names = List.copyOf(names);
    var seen = new HashSet<String>();
    for (String name : names) {
      if (name.isEmpty()) {
        throw new IllegalArgumentException("control tokens: one has an empty name");
      }
      if (!seen.add(name)) {
        throw new IllegalArgumentException("control tokens: '" + name + "' stands twice");
      }
    }
    requireOneOf(seen, "bos", bos);
    requireOneOf(seen, "eos", eos);
    if (addBos && bos.isEmpty()) {
      throw new IllegalArgumentException("control tokens: addBos needs a bos token");
    }
  }

  /**
   * {@code <|endoftext|>}, which parts documents and so both begins and ends a text and is put in
   * front of one, then {@code <|im_start|>} and {@code <|im_end|>} around the turns of a chat.
   */
  public static ControlTokens chat() {
    return new ControlTokens(
        List.of(END_OF_TEXT, "<|im_start|>", "<|im_end|>"),
        Optional.of(END_OF_TEXT),
        Optional.of(END_OF_TEXT),
        true);
  }

  private static void requireOneOf(HashSet<String> names, String role, Optional<String> name) {
    if (name.isPresent() && !names.contains(name.get())) {
      throw new IllegalArgumentException(
          "control tokens: " + role + " '" + name.get() + "' is none of " + names);
    }
  }

  /** The ids of begin and end as metadata; the first name's token is {@code firstId}. */
  void describe(Map<String, Object> metadata, int firstId) {
    bos.ifPresent(name -> metadata.put(Tokenizer.idKey("bos"), firstId + names.indexOf(name)));
    eos.ifPresent(name -> metadata.put(Tokenizer.idKey("eos"), firstId + names.indexOf(name)));
    metadata.put(Tokenizer.addKey("bos"), addBos);
    metadata.put(Tokenizer.addKey("eos"), false);
  }
}
