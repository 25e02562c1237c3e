// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import dev.tokamak.backend.Operation.Rope.Pairing;

/**
 * All that model families differ in, as data; one {@link Transformer} reads it.
 *
 * @param family the name in the file, such as {@code llama}
 * @param vocabulary tokens
 * @param context tokens that the model was trained to see at once
 * @param layers transformer blocks
 * @param dim width of the residual stream
 * @param heads query heads
 * @param kvHeads key and value heads; heads / kvHeads query heads share one
 * @param headDim values of a head
 * @param hidden width of the gated feed-forward network
 * @param epsilon of every RMS norm
 * @param rotary position embedding of queries and keys
 * @param qkvBias whether q, k and v products have a bias
 * @param outputBias whether the attention's output product has a bias
 * @param hiddenBias whether the three products of the feed-forward network have a bias
 * @param qkNorm whether each head of q and k is normalised before the rotation
 * @param tiedEmbeddings whether the output head is the embedding table
 */
public record Architecture(
    String family,
    int vocabulary,
    int context,
    int layers,
    int dim,
    int heads,
    int kvHeads,
    int headDim,
    int hidden,
    float epsilon,
    Rotary rotary,
    boolean qkvBias,
    boolean outputBias,
    boolean hiddenBias,
    boolean qkNorm,
    boolean tiedEmbeddings) {

  /**
   * Rotary position embedding: pair i turns by position / scale · base^(−2i/dim) / factor i.
   *
   * @param pairing which values of a head turn together
   * @param dim values of a head that turn, even
   * @param base of the frequencies
   * @param scale that positions are divided by (linear scaling); 1 for none
   * @param frequencyFactors whether the file divides each frequency by a factor of its own
   *     ({@code rope_freqs.weight}, as Llama 3 does)
   */
  public record Rotary(
      Pairing pairing, int dim, double base, double scale, boolean frequencyFactors) {}
}
