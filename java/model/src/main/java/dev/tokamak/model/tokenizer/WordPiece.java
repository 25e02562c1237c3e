// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import dev.tokamak.model.format.Metadata;
import java.nio.charset.StandardCharsets;
import java.text.Normalizer;
import java.util.OptionalInt;

/**
 * BERT's WordPiece ({@code tokenizer.ggml.model = bert}): a text is split at white space,
 * punctuation and ideographs, and each word is written by the longest token that it begins with,
 * the longest that the rest begins with, and so on. A word of which some rest begins with no token,
 * or of more than 100 characters, is unknown as a whole. Tokens that begin a word are written with
 * {@code ▁} in front.
 *
 * <p>Before, control characters are left out, and, where the model has no capitals, letters made
 * small and accents taken away. So decoding gives words, not the text: it puts a space between
 * them, but none before {@code .}, {@code ?}, {@code !} and {@code ,}.
 */
public final class WordPiece extends Tokenizer {
  static final String LOWERCASE = "tokenizer.tokamak.lowercase";
  static final String WORD = "▁";
  static final int LONGEST_WORD = 100;

  private final boolean lowercase;
  private final int longestToken; // in bytes

  WordPiece(Metadata metadata) {
    super(
        withSeparatorAsEos(metadata),
        new Defaults(OptionalInt.of(101), OptionalInt.of(102), OptionalInt.of(100), true, true));
    if (unknown().isEmpty()) {
      throw Vocabulary.error(
          metadata.source(), Tokenizer.idKey("unknown"), "missing, expected a token");
    }
    this.lowercase = metadata.bool(LOWERCASE).orElse(true);
    this.longestToken = vocabulary.longest();
  }

  /** Files name the token at the begin CLS or BOS, that at the end SEP or EOS. */
  private static Metadata withSeparatorAsEos(Metadata metadata) {
    Metadata all = metadata;
    String[][] names = {
      {"bos", "tokenizer.ggml.cls_token_id"},
      {"eos", "tokenizer.ggml.seperator_token_id"}, // as GGUF spells it
    };
    for (String[] name : names) {
      OptionalInt id = metadata.integer32(name[1]);
      if (id.isPresent()) {
        all = all.with(Tokenizer.idKey(name[0]), id.getAsInt());
      }
    }
    return all;
  }

  @Override
  boolean spaceInFront() {
    return true;
  }

  @Override
  byte[] textBytes(int id) {
    String text = vocabulary.text(id);
    boolean word = text.startsWith(WORD);
    String bare = word ? text.substring(WORD.length()) : text;
    boolean close =
        bare.startsWith(".")
            || bare.startsWith("?")
            || bare.startsWith("!")
            || bare.startsWith(",");
    return (word && !close ? " " + bare : bare).getBytes(StandardCharsets.UTF_8);
  }

  /** A word of its own. */
  @Override
  byte[] nameBytes(int id) {
    return (" " + vocabulary.text(id)).getBytes(StandardCharsets.UTF_8);
  }

  @Override
  Encoder encoder(String text, Ids out) {
    return (from, to) -> {
      String clean = clean(text.substring(from, to));
      int start = 0;
      for (int at = 0; at < clean.length(); ) {
        int c = clean.codePointAt(at);
        int next = at + Character.charCount(c);
        boolean alone = isPunctuation(c) || isIdeograph(c);
        if (c == ' ' || isSpace(c) || alone) {
          word(clean, start, at, out);
          if (alone) {
            word(clean, at, next, out);
          }
          start = next;
        }
        at = next;
      }
      word(clean, start, clean.length(), out);
    };
  }

  /** Spaces for white space, nothing for control characters, small letters without accents. */
  private String clean(String text) {
    var kept = new StringBuilder(text.length());
    text.codePoints()
        .forEach(
            c -> {
              if (isSpace(c)) {
                kept.append(' ');
              } else if (c != 0 && c != 0xfffd && !isOther(c)) {
                kept.appendCodePoint(c);
              }
            });
    if (!lowercase) {
      return kept.toString();
    }
    var small = new StringBuilder(kept.length());
    Normalizer.normalize(kept, Normalizer.Form.NFD)
        .codePoints()
        .filter(c -> Character.getType(c) != Character.NON_SPACING_MARK)
        .forEach(c -> small.appendCodePoint(Character.toLowerCase(c)));
    return small.toString();
  }

  private void word(String text, int from, int to, Ids out) {
    if (from == to) {
      return;
    }
    if (text.codePointCount(from, to) > LONGEST_WORD) {
      out.add(unknown().getAsInt());
      return;
    }
    byte[] utf8 = (WORD + text.substring(from, to)).getBytes(StandardCharsets.UTF_8);
    int[] found = new int[utf8.length];
    int count = 0;
    for (int at = 0; at < utf8.length; ) {
      int end = Math.min(utf8.length, at + longestToken);
      int id = -1;
      while (end > at) {
        id = vocabulary.findText(utf8, at, end);
        if (id >= 0) {
          break;
        }
        end--;
      }
      if (id < 0) {
        out.add(unknown().getAsInt());
        return;
      }
      found[count++] = id;
      at = end;
    }
    for (int i = 0; i < count; i++) {
      out.add(found[i]);
    }
  }

  private static boolean isSpace(int c) {
    return c == ' ' || c == 0x85 || c >= '\t' && c <= '\r' || Character.isSpaceChar(c);
  }

  private static boolean isOther(int c) {
    return switch (Character.getType(c)) {
      case Character.CONTROL, Character.FORMAT, Character.PRIVATE_USE, Character.SURROGATE -> true;
      default -> false;
    };
  }

  private static boolean isPunctuation(int c) {
    if (c < 0x80) {
      return c > ' ' && c < 0x7f && !Character.isLetterOrDigit(c);
    }
    return switch (Character.getType(c)) {
      case Character.CONNECTOR_PUNCTUATION,
          Character.DASH_PUNCTUATION,
          Character.START_PUNCTUATION,
          Character.END_PUNCTUATION,
          Character.INITIAL_QUOTE_PUNCTUATION,
          Character.FINAL_QUOTE_PUNCTUATION,
          Character.OTHER_PUNCTUATION ->
          true;
      default -> false;
    };
  }

  /** The blocks that BERT's tokenizer takes apart, character by character. */
  private static boolean isIdeograph(int c) {
    return c >= 0x4e00 && c <= 0x9fff
        || c >= 0x3400 && c <= 0x4dbf
        || c >= 0x20000 && c <= 0x2a6df
        || c >= 0x2a700 && c <= 0x2b73f
        || c >= 0x2b740 && c <= 0x2b81f
        || c >= 0x2b920 && c <= 0x2ceaf
        || c >= 0xf900 && c <= 0xfaff
        || c >= 0x2f800 && c <= 0x2fa1f;
  }
}
