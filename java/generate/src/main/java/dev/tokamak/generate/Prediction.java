// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import java.util.List;

/**
 * The model's distribution over the token that comes next.
 *
 * @param position of the last token before it, from 0
 * @param logits [vocabulary]
 * @param top the likeliest tokens, the likeliest first
 * @param entropyBits of the distribution: 0 where it is certain, log2(vocabulary) at most
 */
public record Prediction(int position, float[] logits, List<Choice> top, double entropyBits) {}
