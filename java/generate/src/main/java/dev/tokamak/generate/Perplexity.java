// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

/**
 * How well a model predicts a text, by the definition of llama.cpp's llama-perplexity: the text
 * less one newline at its end becomes tokens, BOS in front if the model adds one; they are cut into
 * chunks of {@code context}, the rest is dropped. Each chunk is run alone, its first token replaced
 * by BOS if the model adds one; with first = context / 2, the positions first to context − 2 are
 * scored, each for the token after it.
 *
 * @param perplexity exp of the mean of −ln p over all scores
 * @param standardError of the perplexity; 0 for a single score
 * @param bitsPerByte mean of −log2 p, times the text's tokens (BOS not counted), by its UTF-8 bytes
 * @param tokens of the text, BOS included
 * @param scores tokens that were scored
 * @param chunks that were run
 */
public record Perplexity(
    double perplexity,
    double standardError,
    double bitsPerByte,
    int tokens,
    int scores,
    int chunks) {}
