// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** A {@code tokenizer.json} of a byte-level BPE. */
final class ByteLevelJson {
  private static final String GPT2 = "ByteLevel";

  private static final String CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
  private static final String LINES = "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

  private static final String UPPER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
  private static final String LOWER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";

  /**
   * The pre-tokenizer's steps, as files write them, and what they are called: the first name fits
   * where a word that is a token becomes that token ({@code ignore_merges}), the second elsewhere.
   */
  private static final Map<List<String>, List<String>> NAMES =
      Map.of(
          List.of(GPT2),
          List.of("", "gpt-2"),
          List.of("Digits", GPT2),
          List.of("", "starcoder"),
          List.of(words("\\p{N}")),
          List.of("", "qwen2"),
          List.of(words("\\p{N}{1,3}")),
          List.of("llama-bpe", "dbrx"),
          List.of(cased("", "\\p{N}")),
          List.of("tekken", ""),
          List.of(cased(CONTRACTIONS + "?", "\\p{N}{1,3}")),
          List.of("", "gpt-4o"),
          List.of(
              "\\p{N}{1,3}",
              "[一-龥぀-ゟ゠-ヿ]+",
              "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
                  + "|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|"
                  + LINES),
          List.of("", "deepseek-v3"));

  private final TokenizerJson json;

  ByteLevelJson(TokenizerJson json) {
    this.json = json;
  }

  static boolean isByteLevel(JsonValue preTokenizer) {
    return TokenizerJson.steps(preTokenizer, "pretokenizers").stream()
        .anyMatch(step -> step.get("type").string().equals("ByteLevel"));
  }

  void read() {
    JsonValue model = json.model;
    TokenizerJson.require(model, "dropout", "", 0.0);
    TokenizerJson.require(model, "continuing_subword_prefix", "");
    TokenizerJson.require(model, "end_of_word_suffix", "");
    TokenizerJson.require(model, "byte_fallback", false);
    json.keys.put(Tokenizer.MODEL, "gpt2");
    json.keys.put(Bpe.PRE, preTokenizer(model.get("ignore_merges").bool(false)));
    normalizer();
    for (JsonValue step : TokenizerJson.steps(json.file.get("decoder"), "decoders")) {
      TokenizerJson.require(step, "type", "ByteLevel");
    }
    model
        .get("unk_token")
        .optionalString()
        .ifPresent(
            _ -> {
              if (hasAllBytes()) {
                json.id("unknown", model.get("unk_token"));
              } else {
                throw model
                    .get("unk_token")
                    .error("a token for unknown bytes is not supported; some bytes have none");
              }
            });
    json.keys.put(Bpe.MERGES, merges(model.get("merges")));
  }

  private String preTokenizer(boolean wholeWords) {
    JsonValue preTokenizer = json.file.get("pre_tokenizer");
    List<String> steps = new ArrayList<>();
    for (JsonValue step : TokenizerJson.steps(preTokenizer, "pretokenizers")) {
      JsonValue type = step.get("type");
      switch (type.string()) {
        case "ByteLevel" -> {
          TokenizerJson.require(step, "add_prefix_space", false);
          if (step.get("use_regex").bool(true)) {
            steps.add(GPT2);
          }
        }
        case "Digits" -> {
          TokenizerJson.require(step, "individual_digits", true);
          steps.add("Digits");
        }
        case "Split" -> {
          TokenizerJson.require(step, "behavior", "Isolated", "Removed");
          TokenizerJson.require(step, "invert", step.get("behavior").string().equals("Removed"));
          steps.add(step.get("pattern").get("Regex").string());
        }
        default -> throw type.error(type.string() + " is not supported");
      }
    }
    List<String> names = NAMES.getOrDefault(steps, List.of("", ""));
    String name = names.get(wholeWords ? 0 : 1);
    if (name.isEmpty()) {
      throw preTokenizer.error(
          "splitting is not known"
              + (wholeWords ? " beside ignore_merges: " : ": ")
              + steps.stream().map(s -> "'" + s + "'").collect(Collectors.joining(", ")));
    }
    return name;
  }

  private void normalizer() {
    for (JsonValue step : TokenizerJson.steps(json.file.get("normalizer"), "normalizers")) {
      TokenizerJson.require(step, "type", "NFC", "NFD", "NFKC", "NFKD");
      if (json.keys.put(Bpe.NORMALIZER, step.get("type").string()) != null) {
        throw step.error("more than one is not supported");
      }
    }
  }

  private boolean hasAllBytes() {
    var letters = new ArrayList<String>();
    for (char c : Bpe.alphabet()) {
      letters.add(String.valueOf(c));
    }
    for (int id = 0; id < json.size(); id++) {
      letters.remove(json.token(id));
    }
    return letters.isEmpty();
  }

  /** Merges as {@code left right}; newer files have them as pairs. */
  static List<String> merges(JsonValue merges) {
    var out = new ArrayList<String>();
    for (JsonValue merge : merges.list()) {
      if (merge.value() instanceof List<?>) {
        List<JsonValue> pair = merge.list();
        if (pair.size() != 2) {
          throw merge.error("expected two tokens, found " + pair.size());
        }
        for (JsonValue token : pair) {
          if (token.string().indexOf(' ') >= 0) {
            throw token.error(
                "a token with a space in it is not supported: '" + token.string() + "'");
          }
        }
        out.add(pair.get(0).string() + " " + pair.get(1).string());
      } else {
        out.add(merge.string());
      }
    }
    return out;
  }

  private static String words(String digits) {
    return CONTRACTIONS
        + "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
        + digits
        + "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
        + LINES;
  }

  private static String cased(String ending, String digits) {
    return "[^\\r\\n\\p{L}\\p{N}]?"
        + (UPPER + "*" + LOWER + "+" + ending)
        + ("|[^\\r\\n\\p{L}\\p{N}]?" + UPPER + "+" + LOWER + "*" + ending)
        + ("|" + digits + "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" + LINES);
  }
}
