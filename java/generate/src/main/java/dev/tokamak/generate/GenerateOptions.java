// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import dev.tokamak.model.Model;
import java.util.List;
import java.util.OptionalInt;

/**
 * What a generation is to do.
 *
 * @param sampler how each token is chosen
 * @param maxTokens to sample, at most; the context may end it earlier
 * @param stop texts that end it; they are not part of the text that comes out
 * @param ignoreEos whether it goes on after a token that ends a generation
 * @param logprobs how many of the likeliest tokens are listed for each token, beside the log
 *     probability of the token itself; empty for no log probabilities
 * @param receipt whether a hash is made of all logits that were sampled from
 */
public record GenerateOptions(
    SamplerOptions sampler,
    int maxTokens,
    List<String> stop,
    boolean ignoreEos,
    OptionalInt logprobs,
    boolean receipt) {

  public GenerateOptions {
    if (maxTokens < 0) {
      throw new IllegalArgumentException(
          "tokens to generate: expected 0 or more, found " + maxTokens);
    }
    stop = List.copyOf(stop);
    if (stop.contains("")) {
      throw new IllegalArgumentException("stop: expected a text, found an empty one");
    }
    if (logprobs.isPresent() && logprobs.getAsInt() < 0) {
      throw new IllegalArgumentException(
          "logprobs: expected 0 or more, found " + logprobs.getAsInt());
    }
  }

  /** Until the model ends or the context is full, chosen as {@code sampler} says. */
  public static GenerateOptions of(SamplerOptions sampler) {
    return new GenerateOptions(
        sampler, Integer.MAX_VALUE, List.of(), false, OptionalInt.empty(), false);
  }

  /** The same, chosen as the model's file recommends. */
  public static GenerateOptions of(Model model) {
    return of(SamplerOptions.of(model.metadata()));
  }

  public GenerateOptions withSampler(SamplerOptions value) {
    return new GenerateOptions(value, maxTokens, stop, ignoreEos, logprobs, receipt);
  }

  public GenerateOptions withMaxTokens(int value) {
    return new GenerateOptions(sampler, value, stop, ignoreEos, logprobs, receipt);
  }

  public GenerateOptions withStop(List<String> value) {
    return new GenerateOptions(sampler, maxTokens, value, ignoreEos, logprobs, receipt);
  }

  public GenerateOptions withIgnoreEos(boolean value) {
    return new GenerateOptions(sampler, maxTokens, stop, value, logprobs, receipt);
  }

  public GenerateOptions withLogprobs(int value) {
    return new GenerateOptions(sampler, maxTokens, stop, ignoreEos, OptionalInt.of(value), receipt);
  }

  public GenerateOptions withReceipt(boolean value) {
    return new GenerateOptions(sampler, maxTokens, stop, ignoreEos, logprobs, value);
  }
}
