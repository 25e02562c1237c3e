// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

/**
 * Chooses tokens where a step leaves its logits, so that those need not be brought to the caller.
 * After {@link Batch#wantLogits} has named an output, {@link #want} may ask for its token; the step
 * then chooses it and forgets what it was asked. The token is the one that a sampler on the host
 * would choose of the same logits, but where a random number falls within the rounding of a double
 * on the boundary between two. Asking and reading allocate nothing.
 */
public interface TokenSampler {
  /** What a step brings back of an output besides its token. */
  enum Besides {
    NOTHING,
    /** The natural logarithms of probabilities in the softmax of all logits. */
    LOG_PROBABILITIES,
    /** Its row of {@link Replay#logits}. */
    LOGITS
  }

  /** Recent tokens that penalties can look at, at most. */
  int mostRecent();

  /** Of the likeliest tokens, how many {@link #topToken} tells. */
  int tops();

  /**
   * Asks for a token. Rows of logits that no {@code want} of the step names are brought back as
   * without a sampler; of the others only those that ask for {@link Besides#LOGITS} are defined.
   *
   * @param output as {@link Batch#wantLogits} numbered it
   * @param history tokens of the sequence so far
   * @param length how many they are: the index of the token to choose. Its {@link Sampling#recent}
   *     is at most {@link #mostRecent}
   */
  void want(int output, Sampling sampling, int[] history, int length, Besides besides);

  /** The token of an output of the last step. */
  int token(int output);

  /** The log probability of that token, if the step was asked for it. */
  double logProbability(int output);

  /** The token that is likeliest but {@code rank}, if the step was asked for log probabilities. */
  int topToken(int output, int rank);

  /** Its log probability. */
  double topLogProbability(int output, int rank);
}
