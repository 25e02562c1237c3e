// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** How often each word stands in documents; what a vocabulary is trained on. */
final class WordCounts {
  private static final int LONGEST_DOCUMENT = 1 << 28;

  /** Takes words. */
  interface Words {
    void word(String word);
  }

  /** Splits a part of a document into words. */
  interface Splitter {
    void split(String part, Words words);
  }

  /** A counter, so that counting a word once more boxes nothing. */
  private static final class Count {
    private long value;
  }

  private final Splitter splitter;
  private final Pattern names; // of control tokens
  private final Map<String, Count> counts = new HashMap<>();

  WordCounts(List<String> controlNames, Splitter splitter) {
    this.splitter = splitter;
    this.names =
        Pattern.compile(
            controlNames.stream()
                .sorted(Comparator.comparing(String::length).reversed())
                .map(Pattern::quote)
                .collect(Collectors.joining("|")));
  }

  void add(String document) {
    if (document.length() > LONGEST_DOCUMENT) {
      throw new IllegalArgumentException(
          "document of " + document.length() + " characters: at most " + LONGEST_DOCUMENT);
    }
    String clean = Tokenizer.paired(document);
    int from = 0;
    if (!names.pattern().isEmpty()) {
      for (Matcher name = names.matcher(clean); name.find(); from = name.end()) {
        count(clean.substring(from, name.start()));
      }
    }
    count(clean.substring(from));
  }

  private void count(String part) {
    splitter.split(part, word -> counts.computeIfAbsent(word, _ -> new Count()).value++);
  }

  /** The words with their counts, in the order of their characters. */
  TreeMap<String, Long> sorted() {
    var sorted = new TreeMap<String, Long>();
    counts.forEach((word, count) -> sorted.put(word, count.value));
    return sorted;
  }
}
