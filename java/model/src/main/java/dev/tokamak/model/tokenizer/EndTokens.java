// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import dev.tokamak.model.format.Metadata;
import java.util.BitSet;
import java.util.List;
import java.util.OptionalInt;

/**
 * Which tokens end a generation. A file names some by key, and many files leave out what their
 * model ends its turns with, so that tokens of well-known names end one too, as in llama.cpp; such
 * a token is a control token whatever the file calls it.
 */
final class EndTokens {
  /** End of text, of turn, of message, by the families' names for them. */
  private static final List<String> ENDS =
      List.of(
          "<|endoftext|>",
          "<|end_of_text|>",
          "<|eot_id|>",
          "<|eom_id|>",
          "<|im_end|>",
          "<|end|>",
          "<|return|>",
          "<|call|>",
          "<|calls|>",
          "<|flush|>",
          "<end_of_turn>",
          "<turn|>",
          "<|tool_response>",
          "<end_of_utterance>",
          "<eos>",
          "<EOT>",
          "_<EOT>",
          "[EOT]",
          "[EOS]",
          "[e~[",
          "<｜end▁of▁sentence｜>");

  /** What parts files in fill-in-the-middle prompts: a model that writes one has left its file. */
  private record Part(String key, List<String> names) {}

  private static final List<Part> PARTS =
      List.of(
          new Part(
              "tokenizer.ggml.fim_pad_token_id",
              List.of("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]")),
          new Part(
              "tokenizer.ggml.fim_rep_token_id",
              List.of("<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>")),
          new Part("tokenizer.ggml.fim_sep_token_id", List.of("<|file_sep|>")));

  private static final List<String> KEYS =
      List.of("tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id");

  private EndTokens() {}

  /** The ids that end a generation; corrects the kinds of those found by name. */
  static BitSet of(Metadata metadata, Vocabulary vocabulary, OptionalInt bos, OptionalInt eos) {
    var ends = new BitSet(vocabulary.size());
    add(eos, ends);
    for (String key : KEYS) {
      add(Tokenizer.tokenId(metadata, key, vocabulary), ends);
    }
    for (String name : ENDS) {
      add(vocabulary, name, ends);
    }
    for (Part part : PARTS) {
      if (metadata.has(part.key)) {
        add(Tokenizer.tokenId(metadata, part.key, vocabulary), ends);
      } else {
        for (String name : part.names) {
          add(vocabulary, name, ends);
        }
      }
    }
    if (bos.isPresent() && vocabulary.text(bos.getAsInt()).equals("<s>")) {
      add(vocabulary, "</s>", ends); // elsewhere it is HTML, and text like any other
    }
    // Where a model has messages within a turn, <|end|> ends a message and the others end the turn.
    int end = vocabulary.find("<|end|>");
    boolean calls = has(vocabulary, "<|call|>") && has(vocabulary, "<|return|>");
    boolean flushes = has(vocabulary, "<|calls|>") && has(vocabulary, "<|flush|>");
    if (end >= 0 && (calls || flushes)) {
      ends.clear(end);
    }
    return ends;
  }

  private static void add(OptionalInt id, BitSet ends) {
    if (id.isPresent()) {
      ends.set(id.getAsInt());
    }
  }

  private static void add(Vocabulary vocabulary, String name, BitSet ends) {
    int id = vocabulary.find(name);
    if (id >= 0) {
      ends.set(id);
      vocabulary.kind(id, TokenKind.CONTROL);
    }
  }

  private static boolean has(Vocabulary vocabulary, String name) {
    return vocabulary.find(name) >= 0;
  }
}
