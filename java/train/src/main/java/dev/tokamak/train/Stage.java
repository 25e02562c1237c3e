// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import java.util.Locale;

/** The phases in which a model is made, each of them a data source and a loss. */
public enum Stage {
  /** From text: the next token. */
  PRETRAIN,
  /** From conversations: the assistant's tokens. */
  SFT,
  /** From pairs of answers of which one is preferred. */
  DPO,
  /** From the model's own answers, judged by a rule. */
  GRPO;

  /** As the command line spells it. */
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }
}
