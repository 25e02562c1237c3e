// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate.evaluate;

import dev.tokamak.generate.Likelihood;
import dev.tokamak.generate.Likelihood.Request;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * Minimal pairs: two sentences that differ in what makes one of them wrong; the model should hold
 * the good one for likelier (BLiMP, Warstadt et al. 2020). A whole sentence is scored, after BOS.
 */
public final class Pairs {
  private Pairs() {}

  /**
   * A pair.
   *
   * @param group that it is counted in, such as BLiMP's UID
   */
  public record Item(String group, String good, String bad) {
    public Item {
      if (good.isEmpty() || bad.isEmpty()) {
        throw new IllegalArgumentException("sentence: found an empty one");
      }
    }
  }

  /** Which of the pairs the model got right: the good sentence is likelier, and not just as likely. */
  public static BitSet right(Likelihood likelihood, List<Item> items, Progress progress) {
    List<Request> requests = new ArrayList<>();
    for (Item item : items) {
      requests.add(likelihood.request("", item.good));
      requests.add(likelihood.request("", item.bad));
    }
    double[] scores = new double[requests.size()];
    int[] done = new int[1];
    likelihood.score(
        requests,
        (number, logProbability) -> {
          scores[number] = logProbability;
          progress.at(++done[0], requests.size());
        });
    BitSet right = new BitSet();
    for (int i = 0; i < items.size(); i++) {
      right.set(i, scores[2 * i] > scores[2 * i + 1]);
    }
    return right;
  }
}
