// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate.evaluate;

import dev.tokamak.generate.Likelihood;
import dev.tokamak.generate.Likelihood.Request;
import dev.tokamak.generate.PromptException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * How many bits a model needs for a byte of text: Σ −log2 p of all tokens, by the UTF-8 bytes of the
 * texts. Independent of the vocabulary, so models with different tokenizers compare.
 *
 * <p>Each document is scored by itself, from its first token on, which follows BOS (or, for models
 * without one, the end token). A document longer than the context is scored in windows that
 * overlap by half: each token once, with at least half a context before it but in the first window.
 *
 * @param bits needed for all documents
 * @param bytes of all documents
 * @param tokens scored
 */
public record BitsPerByte(double bits, long bytes, long tokens) {
  /** The measure itself. */
  public double value() {
    return bits / bytes;
  }

  /** Of one document. */
  private record Window(int document, Request request) {}

  /**
   * Scores documents.
   *
   * @return one result for each, in order
   * @throws PromptException if a document is empty, or the context has no room for a token and what
   *     it is to be predicted from
   */
  public static List<BitsPerByte> of(
      Likelihood likelihood, List<String> documents, Progress progress) {
    if (likelihood.context() < 2) {
      throw new PromptException("context: expected 2 tokens or more, found " + likelihood.context());
    }
    List<Window> windows = new ArrayList<>();
    int[] tokens = new int[documents.size()];
    for (int d = 0; d < documents.size(); d++) {
      if (documents.get(d).isEmpty()) {
        throw new PromptException("document " + (d + 1) + ": empty");
      }
      Request whole = likelihood.request("", documents.get(d));
      tokens[d] = whole.tokens().length - whole.from();
      addWindows(d, whole, likelihood.context(), windows);
    }
    double[] nats = new double[documents.size()];
    // A sum's order must not depend on which request is done first.
    double[] parts = new double[windows.size()];
    int[] done = new int[1];
    likelihood.score(
        windows.stream().map(Window::request).toList(),
        (number, logProbability) -> {
          parts[number] = logProbability;
          progress.at(++done[0], windows.size());
        });
    for (int w = 0; w < parts.length; w++) {
      nats[windows.get(w).document] -= parts[w];
    }
    List<BitsPerByte> results = new ArrayList<>();
    for (int d = 0; d < documents.size(); d++) {
      results.add(
          new BitsPerByte(
              nats[d] / StrictMath.log(2),
              documents.get(d).getBytes(StandardCharsets.UTF_8).length,
              tokens[d]));
    }
    return results;
  }

  /** All of several documents together. */
  public static BitsPerByte total(List<BitsPerByte> documents) {
    return new BitsPerByte(
        documents.stream().mapToDouble(BitsPerByte::bits).sum(),
        documents.stream().mapToLong(BitsPerByte::bytes).sum(),
        documents.stream().mapToLong(BitsPerByte::tokens).sum());
  }

  /** Windows that overlap by half a context; the first scores all that is to be scored in it. */
  private static void addWindows(
      int document, Request whole, int context, List<Window> windows) {
    int[] tokens = whole.tokens();
    int scored = whole.from();
    while (scored < tokens.length) {
      int start = scored == whole.from() ? 0 : scored - context / 2;
      int end = Math.min(tokens.length, start + context);
      windows.add(
          new Window(
              document, new Request(Arrays.copyOfRange(tokens, start, end), scored - start)));
      scored = end;
    }
  }
}
