// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How a text is split into words before byte pairs are merged within each: the patterns of the
 * models' own tokenizers, by the name that {@code tokenizer.ggml.pre} gives.
 *
 * <p>The first pattern parts the text into what it matches and what lies between, the next one each
 * of these parts on its own, and so on. Classes are Unicode's ({@code \s} is White_Space). Where
 * llama.cpp has to write a pattern in other words than the model's publisher, the publisher's are
 * taken: tekken and gpt-4o part capitals from small letters in all scripts.
 *
 * <p>A pattern must need no stack and no more than linear time on any text: loops over single
 * classes only, and no search that can begin at each place of a run and fail at its end.
 */
final class PreTokenizer {
  /** Takes the words of a text, in order; together they are the text. */
  interface Words {
    /** The word from {@code from} to {@code to}, never empty. */
    void word(int from, int to);
  }

  private static final String CONTRACTIONS =
      "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]";
  private static final String SPACES = "\\s+(?!\\S)|\\s+";
  private static final String LINES = "\\s*[\\r\\n]+|" + SPACES;

  private static final String GPT2 =
      "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|" + SPACES;

  private static final String LLAMA3 = words("\\p{N}{1,3}");
  private static final String QWEN2 = words("\\p{N}");
  private static final String MINICPM5 = words("\\p{N}+");

  private static final String QWEN35 =
      CONTRACTIONS
          + "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
          + "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|"
          + LINES;

  private static final String SEED_CODER =
      CONTRACTIONS + "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" + LINES;

  private static final String BAILING =
      CONTRACTIONS
          + "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
          + "|\\s*[\\r\\n]|"
          + SPACES;

  private static final String UPPER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
  private static final String LOWER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
  private static final String TEKKEN = cased("", "\\p{N}");
  private static final String GPT_4O = cased("(?:" + CONTRACTIONS + ")?", "\\p{N}{1,3}");

  private static final String DEEPSEEK_V3 =
      "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
          + "|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|"
          + LINES;

  /** Letters with case, as of the Unicode version that DeepSeek LLM was made with. */
  private static final String CASED_LETTERS =
      "A-Za-z\\u00b5\\u00c0-\\u00d6\\u00d8-\\u00f6\\u00f8-\\u01ba\\u01bc-\\u01bf\\u01c4-\\u0293"
          + "\\u0295-\\u02af\\u0370-\\u0373\\u0376\\u0377\\u037b-\\u037d\\u037f\\u0386"
          + "\\u0388-\\u038a\\u038c\\u038e-\\u03a1\\u03a3-\\u03f5\\u03f7-\\u0481\\u048a-\\u052f"
          + "\\u0531-\\u0556\\u10a0-\\u10c5\\u13a0-\\u13f5\\u13f8-\\u13fd\\u1c90-\\u1cba"
          + "\\u1cbd-\\u1cbf\\u1d00-\\u1d2b\\u1d6b-\\u1d77\\u1d79-\\u1d9a\\u1e00-\\u1f15"
          + "\\u1f18-\\u1f1d\\u1f20-\\u1f45\\u1f48-\\u1f4d\\u1f50-\\u1f57\\u1f59\\u1f5b\\u1f5d"
          + "\\u1f5f-\\u1f7d\\u1f80-\\u1fb4\\u1fb6-\\u1fbc\\u1fbe\\u1fc2-\\u1fc4\\u1fc6-\\u1fcc"
          + "\\u1fd0-\\u1fd3\\u1fd6-\\u1fdb\\u1fe0-\\u1fec\\u1ff2-\\u1ff4\\u1ff6-\\u1ffc\\u2102"
          + "\\u2107\\u210a-\\u2113\\u2115\\u2119-\\u211d\\u2124\\u2126\\u2128\\u212a-\\u212d"
          + "\\u212f-\\u2134\\u2139\\u213c-\\u213f\\u2145-\\u2149\\u214e\\u2183\\u2184"
          + "\\u2c00-\\u2c7b\\u2c7e-\\u2ce4\\u2ceb-\\u2cee\\u2cf2\\u2cf3\\ua640-\\ua66d"
          + "\\ua680-\\ua69b\\ua722-\\ua76f\\ua771-\\ua787\\ua78b-\\ua78e\\uab70-\\uabbf"
          + "\\ufb00-\\ufb06\\ufb13-\\ufb17\\uff21-\\uff3a\\uff41-\\uff5a\\x{10400}-\\x{1044f}"
          + "\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}"
          + "\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}";

  private static final String CHINESE_KOREAN = "[\\u4e00-\\u9fa5\\u0800-\\u4e00\\uac00-\\ud7ff]+";
  private static final String CHINESE_JAPANESE = "[\\u4e00-\\u9fa5\\u3040-\\u30ff]+";
  private static final String BLOOM =
      " ?[^(\\s|.,!?\\u2026\\u3002\\uff0c\\u3001\\u0964\\u06d4\\u060c)]+";

  /** Every name there is. {@code default} is taken where a file has no name. */
  private static final Rule[] RULES = {
    rule("default").splits("[\\p{P}$+<=>^~|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"),
    rule(
            "gpt-2",
            "phi-2",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "exaone4",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "granite-docling",
            "jina-es",
            "jina-de",
            "jina-v2-es",
            "jina-v2-de")
        .splits(GPT2),
    rule(
            "starcoder",
            "smollm",
            "refact",
            "command-r",
            "codeshell",
            "exaone",
            "minerva-7b",
            "mellum2")
        .splits("\\p{N}", GPT2),
    rule("falcon").splits("[\\p{P}$+<=>^~|`]+", GPT2, "[0-9][0-9][0-9]"),
    rule(
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano")
        .splits(LLAMA3)
        .takesWholeWords()
        .addsBos(),
    rule("dbrx", "smaug-bpe", "glm4", "chatglm-bpe").splits(LLAMA3),
    rule(
            "qwen2",
            "deepseek-r1-qwen",
            "stablelm2",
            "megrez",
            "kormo",
            "f2llmv2",
            "hunyuan",
            "solar-open",
            "grok-2")
        .splits(QWEN2),
    rule("qwen35").splits(QWEN35),
    rule("minicpm5").splits("\\p{N}{1,3}", MINICPM5).takesWholeWords(),
    rule("seed-coder").splits(SEED_CODER),
    rule("bailingmoe", "bailingmoe2", "llada-moe").splits(BAILING),
    rule("gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2").splits(GPT_4O),
    rule("tekken").splits(TEKKEN).takesWholeWords().addsBos(),
    rule("deepseek-llm")
        .splits(
            "[\\r\\n]",
            "\\s?[" + CASED_LETTERS + "]+",
            "\\s?[!-/:-~\\uff01-\\uff0f\\uff1a-\\uff5e\\u2018-\\u201f\\u3000-\\u3002]+",
            "(?<!\\s)\\s+\\z",
            CHINESE_KOREAN,
            "\\p{N}+"),
    rule("deepseek-coder")
        .splits("[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CHINESE_KOREAN, "\\p{N}"),
    rule("deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4")
        .splits("\\p{N}{1,3}", CHINESE_JAPANESE, DEEPSEEK_V3),
    rule("bloom", "poro-chat", "gpt3-finnish").splits(BLOOM),
    rule("viking").splits(BLOOM, "\\p{N}"),
  };

  private final Pattern[] patterns;
  private final Rule rule;

  private PreTokenizer(Rule rule) {
    this.rule = rule;
    this.patterns =
        rule.patterns.stream()
            .map(pattern -> Pattern.compile(pattern, Pattern.UNICODE_CHARACTER_CLASS))
            .toArray(Pattern[]::new);
  }

  /** The pre-tokenizer of a name, if there is one. */
  static Optional<PreTokenizer> named(String name) {
    return Arrays.stream(RULES)
        .filter(rule -> rule.names.contains(name))
        .findFirst()
        .map(PreTokenizer::new);
  }

  /**
   * The pre-tokenizer of a name.
   *
   * @throws IllegalArgumentException if there is none
   */
  static PreTokenizer require(String name) {
    return named(name)
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "pre-tokenizer '"
                        + name
                        + "' is not known; known: "
                        + String.join(", ", names())));
  }

  /** All names, sorted. */
  static TreeSet<String> names() {
    var names = new TreeSet<String>();
    for (Rule rule : RULES) {
      names.addAll(rule.names);
    }
    return names;
  }

  /** Whether a word that is a token as it stands becomes that token, whatever merges would give. */
  boolean wholeWords() {
    return rule.wholeWords;
  }

  /** Whether texts begin with BOS where the file does not say. */
  boolean addBos() {
    return rule.addBos;
  }

  /** A splitter of one text; not to be shared between threads. */
  Splitter splitter(String text) {
    return new Splitter(text);
  }

  /** Splits parts of one text into words. */
  final class Splitter {
    private final Matcher[] matchers;

    private Splitter(String text) {
      matchers = Arrays.stream(patterns).map(p -> p.matcher(text)).toArray(Matcher[]::new);
    }

    /** Gives the words from {@code from} to {@code to}, as if there were no text around. */
    void split(int from, int to, Words words) {
      split(0, from, to, words);
    }

    private void split(int stage, int from, int to, Words words) {
      if (from == to) {
        return;
      }
      if (stage == matchers.length) {
        words.word(from, to);
        return;
      }
      Matcher matcher = matchers[stage].region(from, to);
      int at = from;
      while (matcher.find()) {
        split(stage + 1, at, matcher.start(), words);
        split(stage + 1, matcher.start(), matcher.end(), words);
        at = matcher.end();
      }
      split(stage + 1, at, to, words);
    }
  }

  /** Words of letters with one other character in front, digits, signs, line ends, spaces. */
  private static String words(String digits) {
    return CONTRACTIONS
        + ("|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" + digits)
        + ("| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" + LINES);
  }

  /** As {@link #words}, a word being capitals and then small letters; {@code ending} follows it. */
  private static String cased(String ending, String digits) {
    return "[^\\r\\n\\p{L}\\p{N}]?"
        + (UPPER + "*" + LOWER + "+" + ending)
        + ("|[^\\r\\n\\p{L}\\p{N}]?" + UPPER + "+" + LOWER + "*" + ending)
        + ("|" + digits + "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" + LINES);
  }

  private static Rule rule(String... names) {
    return new Rule(List.of(names), List.of(), false, false);
  }

  private record Rule(
      List<String> names, List<String> patterns, boolean wholeWords, boolean addBos) {
    Rule splits(String... patterns) {
      return new Rule(names, List.of(patterns), wholeWords, addBos);
    }

    Rule takesWholeWords() {
      return new Rule(names, patterns, true, addBos);
    }

    Rule addsBos() {
      return new Rule(names, patterns, wholeWords, true);
    }
  }
}
