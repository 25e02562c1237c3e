// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.util.AbstractList;

/** Python's range, of at most {@value #LONGEST} numbers. */
final class Range extends AbstractList<Object> {
  private static final int LONGEST = 100_000;

  private final long start;
  private final long stop;
  private final long step;
  private final int size;

  private Range(long start, long stop, long step, int size) {
    this.start = start;
    this.stop = stop;
    this.step = step;
    this.size = size;
  }

  static Range of(long start, long stop, long step) {
    if (step == 0) {
      throw Failed.because("range() arg 3 must not be zero");
    }
    double count = Math.ceil(((double) stop - start) / step);
    if (count > LONGEST) {
      throw Failed.because(
          "Range too big. The sandbox blocks ranges larger than MAX_RANGE (" + LONGEST + ").");
    }
    return new Range(start, stop, step, (int) Math.max(0, count));
  }

  @Override
  public Object get(int index) {
    return start + index * step;
  }

  @Override
  public int size() {
    return size;
  }

  @Override
  public String toString() {
    return "range(" + start + ", " + stop + (step == 1 ? "" : ", " + step) + ")";
  }
}
