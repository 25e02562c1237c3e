// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

/**
 * How a token is chosen from a row of logits: penalties on recent tokens, top-k, typical, top-p,
 * min-p, temperature, a draw, in this order. The module {@code generate} defines each step.
 */
public interface Sampling {
  /** Divides the logits; 0: the largest logit after penalties wins. */
  double temp();

  /** The k likeliest stay; 0: all. */
  int topK();

  /** The likeliest stay that together reach this probability; 1: all. */
  double topP();

  /** Those at least this fraction as likely as the likeliest stay; 0: all. */
  double minP();

  /** Those whose surprise is closest to the expected one stay, up to this probability; 1: all. */
  double typical();

  /** Divides positive logits of recent tokens, multiplies others; 1: none. */
  double repeatPenalty();

  /** Taken off the logits of recent tokens; 0: none. */
  double presencePenalty();

  /** Taken off the logits of recent tokens, once per occurrence; 0: none. */
  double frequencyPenalty();

  /** Tokens that count as recent; -1: all. */
  int repeatLastN();

  /** With the token's index in its sequence, all that a draw depends on. */
  long seed();

  /** How many of the last of {@code length} tokens the penalties look at. */
  default int recent(int length) {
    if (repeatPenalty() == 1 && presencePenalty() == 0 && frequencyPenalty() == 0) {
      return 0;
    }
    return repeatLastN() < 0 ? length : Math.min(repeatLastN(), length);
  }
}
