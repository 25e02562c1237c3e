// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

/** What one rendering may cost, whoever wrote the template. */
final class Budget {
  /** Statements run and expressions evaluated. */
  private static final long STEPS = 20_000_000;

  /** Characters and elements of all values made on the way, those dropped again included. */
  private static final long MADE = 400_000_000;

  /** Characters of one text, elements of one list. */
  private static final long LARGEST = 50_000_000;

  /** Macros within macros. */
  private static final int DEPTH = 200;

  private long steps;
  private long made;
  private int depth;

  void step() {
    if (++steps > STEPS) {
      throw Failed.because("the template runs for more than " + STEPS + " steps");
    }
  }

  /** Work on as many elements. */
  void steps(long count) {
    steps += count;
    step();
  }

  /** Called before a value of this size is made. */
  void make(long size) {
    made += size;
    if (made > MADE) {
      throw Failed.because("the template makes texts and lists of more than " + MADE + " elements");
    }
    hold(size);
  }

  /** Called before a value grows to this size. */
  void hold(long size) {
    if (size > LARGEST) {
      throw Failed.because(
          "the template makes a text or list of more than " + LARGEST + " elements");
    }
  }

  void enter() {
    if (++depth > DEPTH) {
      throw Failed.because("more than " + DEPTH + " macros call each other");
    }
  }

  void leave() {
    depth--;
  }
}
