// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import java.util.List;
import java.util.function.LongFunction;

/**
 * Something that is looked at now and then: before the first step, after every so many, and after
 * the last.
 *
 * @param every steps
 * @param look what is to be told, given the steps done; it changes no weights
 */
record Watch(long every, LongFunction<List<TrainEvent>> look) {
  boolean due(long step, long steps) {
    return step % every == 0 || step == steps;
  }
}
