// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import dev.tokamak.backend.Value;
import dev.tokamak.backend.train.TrainingOperation.Add;
import dev.tokamak.backend.train.TrainingOperation.Forward;
import dev.tokamak.backend.train.TrainingOperation.InputGradient;
import dev.tokamak.backend.train.TrainingOperation.LogProbability;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Makes the backward pass: goes through the forward operations in reverse and lets each record its
 * gradient (reverse-mode differentiation, Linnainmaa 1970). A value that several operations read
 * has the sum of their contributions as its gradient.
 */
public final class Backward {
  private final List<TrainingOperation> operations = new ArrayList<>();
  private final List<Value> values;
  private final Set<Value> wanted = new HashSet<>();

  /** What holds the gradient of a value so far. Two values may share a holder. */
  private final Map<Value, Value> gradients = new HashMap<>();

  private Backward(List<Value> values) {
    this.values = values;
  }

  /**
   * The backward pass of some operations, of which the last is the loss.
   *
   * @param values of the program; those of gradients are added
   * @param blocks numbers of the operations that blocks begin with, and of the one after the last
   *     block: what is written in a block is made again before the block's gradients, but for what
   *     is read outside of it
   */
  static List<TrainingOperation> of(
      List<Forward> forward, List<Value> values, List<Integer> blocks) {
    Backward backward = new Backward(values);
    forward.forEach(backward::markWanted);
    int end = forward.size();
    for (int start : blocks.reversed()) {
      if (end == forward.size()) {
        backward.differentiate(forward.subList(start, end));
      } else {
        backward.differentiateAgain(forward, start, end);
      }
      end = start;
    }
    backward.differentiate(forward.subList(0, end));
    return List.copyOf(backward.operations);
  }

  private void differentiate(List<Forward> forward) {
    for (Forward operation : forward.reversed()) {
      if (operation instanceof LogProbability
          || gradients.containsKey(operation.writes().getFirst())) {
        operation.gradient(this);
        operation.writes().forEach(gradients::remove);
      }
    }
  }

  /** Differentiates a block over copies of its values, after operations that make the copies. */
  private void differentiateAgain(List<Forward> forward, int start, int end) {
    Set<Value> kept = new HashSet<>();
    forward.subList(end, forward.size()).forEach(f -> kept.addAll(f.reads()));
    Map<Value, Value> copies = new HashMap<>();
    List<Forward> block = forward.subList(start, end);
    for (Forward operation : block) {
      for (Value value : operation.writes()) {
        if (!kept.contains(value)) {
          copies.put(value, copy(value, value.name()));
        }
      }
    }
    List<Forward> again =
        block.stream().map(f -> f.over(v -> copies.getOrDefault(v, v))).toList();
    again.forEach(this::markWanted);
    int at = operations.size();
    differentiate(again);
    Set<Value> needed = new HashSet<>();
    operations.subList(at, operations.size()).forEach(g -> needed.addAll(g.reads()));
    needed.retainAll(copies.values());
    for (Forward operation : again.reversed()) {
      if (operation.writes().stream().anyMatch(needed::contains)) {
        operations.add(at, operation);
        operation.reads().stream().filter(copies::containsValue).forEach(needed::add);
      }
    }
  }

  /** A value wants a gradient if a trainable parameter stands behind it. */
  private void markWanted(Forward operation) {
    if (operation.parameters().stream().anyMatch(Parameter::trainable)
        || operation.reads().stream().anyMatch(wanted::contains)) {
      wanted.addAll(operation.writes());
    }
  }

  /** Whether anything trainable stands behind a value. */
  boolean wants(Value value) {
    return wanted.contains(value);
  }

  /** The gradient of a value that the operation at hand wrote; complete, and only to be read. */
  Value of(Value value) {
    return gradients.get(value);
  }

  /** A new value with the shape of another, to hold a contribution to its gradient. */
  Value fresh(Value like) {
    return copy(like, like.name() + " gradient");
  }

  private Value copy(Value like, String name) {
    Value value = new Value(values.size(), name, like.rows(), like.width());
    values.add(value);
    return value;
  }

  void add(TrainingOperation operation) {
    operations.add(operation);
  }

  /** Adds a contribution to a value's gradient; its holder is not written afterwards. */
  void flow(Value value, Value contribution) {
    if (!wants(value)) {
      return;
    }
    Value before = gradients.get(value);
    if (before == null) {
      gradients.put(value, contribution);
    } else {
      Value sum = fresh(value);
      add(new Add(before, contribution, sum));
      gradients.put(value, sum);
    }
  }

  /** Adds a product's contribution, in place where no other value has the same holder. */
  void inputGradient(Value outGradient, Parameter weight, Value x) {
    Value before = gradients.get(x);
    boolean own =
        before != null && gradients.values().stream().filter(before::equals).count() == 1;
    if (own) {
      add(new InputGradient(outGradient, weight, true, before));
    } else {
      Value contribution = fresh(x);
      add(new InputGradient(outGradient, weight, false, contribution));
      flow(x, contribution);
    }
  }
}
