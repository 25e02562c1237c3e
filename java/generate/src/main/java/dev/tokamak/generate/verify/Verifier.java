// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate.verify;

import java.math.BigDecimal;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Decides by code whether an answer is right. */
public sealed interface Verifier {
  /** Whether a model's answer satisfies the rule. */
  boolean accepts(String answer);

  /** The answer is this text, blanks at the ends left out. */
  record Exact(String expected) implements Verifier {
    @Override
    public boolean accepts(String answer) {
      return answer.strip().equals(expected.strip());
    }
  }

  /**
   * The last number in the answer is this one, however it is written: {@code 7}, {@code 7.0}. So a
   * model may show its steps before the result.
   */
  record Number(BigDecimal expected) implements Verifier {
    // At most so many digits: a model may write numbers without end.
    private static final Pattern NUMBER =
        Pattern.compile("(?<![\\d.])-?\\d{1,30}(?:\\.\\d{1,30})?(?!\\d)");

    @Override
    public boolean accepts(String answer) {
      Matcher numbers = NUMBER.matcher(answer);
      String last = "";
      while (numbers.find()) {
        last = numbers.group();
      }
      return !last.isEmpty() && new BigDecimal(last).compareTo(expected) == 0;
    }
  }

  /** Every one of these words stands in the answer, as a whole word, in any case. */
  record Contains(List<String> words) implements Verifier {
    public Contains {
      words = List.copyOf(words);
      if (words.isEmpty()) {
        throw new IllegalArgumentException("words: expected 1 or more");
      }
    }

    @Override
    public boolean accepts(String answer) {
      return words.stream().allMatch(word -> holds(answer, word));
    }

    private static boolean holds(String answer, String word) {
      String in = answer.toLowerCase(Locale.ROOT);
      String of = word.toLowerCase(Locale.ROOT);
      for (int at = in.indexOf(of); at >= 0; at = in.indexOf(of, at + 1)) {
        int end = at + of.length();
        boolean begins = at == 0 || !Character.isLetterOrDigit(in.codePointBefore(at));
        boolean ends = end == in.length() || !Character.isLetterOrDigit(in.codePointAt(end));
        if (begins && ends) {
          return true;
        }
      }
      return false;
    }
  }

  /** The whole answer, blanks at the ends left out, matches a regular expression. */
  record Matches(Pattern pattern) implements Verifier {
    @Override
    public boolean accepts(String answer) {
      return pattern.matcher(answer.strip()).matches();
    }
  }
}
