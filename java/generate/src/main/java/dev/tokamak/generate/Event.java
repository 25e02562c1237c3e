// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import java.util.List;
import java.util.Optional;

/**
 * What a generation tells its listener: each token, then that it finished; or, alone, that it was
 * refused.
 */
public sealed interface Event {
  /**
   * A token was sampled. Every token comes, one that ends the generation included.
   *
   * @param id of the token
   * @param text that is certain with it: whole characters, and none that may yet prove to belong to
   *     a stop string; often empty. The texts of all tokens together are the generation's text
   * @param logprobs if they were asked for
   */
  record Token(int id, String text, Optional<Logprobs> logprobs) implements Event {}

  /**
   * Log probabilities in the model's full distribution, before any step of the sampler.
   *
   * @param chosen the token itself
   * @param top the likeliest tokens, the likeliest first
   */
  record Logprobs(Choice chosen, List<Choice> top) {}

  /**
   * The generation is over.
   *
   * @param prompt tokens that it was given
   * @param tokens that it sampled
   * @param text of those tokens, without what a stop string cut off
   * @param logitsSha256 if a receipt was asked for: see {@link Receipt}
   */
  record Finished(
      List<Integer> prompt,
      List<Token> tokens,
      String text,
      FinishReason reason,
      Timings timings,
      Optional<String> logitsSha256)
      implements Event {}

  /**
   * The generation could not begin.
   *
   * @param problem one line that says why, and what would be right
   */
  record Refused(String problem) implements Event {}

  /**
   * How fast it was; 0 where nothing was measured.
   *
   * @param prefillTokensPerSecond of the prompt, those that the session had seen before left out
   * @param decodeTokensPerSecond of the tokens after the first
   * @param firstTokenMillis from the request to the first token
   */
  record Timings(
      double prefillTokensPerSecond, double decodeTokensPerSecond, double firstTokenMillis) {}
}
