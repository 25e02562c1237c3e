// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import dev.tokamak.backend.Value;
import dev.tokamak.backend.train.TrainingOperation.Add;
import dev.tokamak.backend.train.TrainingOperation.Forward;
import dev.tokamak.backend.train.TrainingOperation.InputGradient;
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
final class Backward {
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
   */
  static List<TrainingOperation> of(List<? extends Forward> forward, List<Value> values) {
    Backward backward = new Backward(values);
    forward.forEach(backward::markWanted);
    forward.getLast().gradient(backward);
    for (Forward operation : forward.subList(0, forward.size() - 1).reversed()) {
      if (backward.gradients.containsKey(operation.writes().getFirst())) {
        operation.gradient(backward);
        operation.writes().forEach(backward.gradients::remove);
      }
    }
    return List.copyOf(backward.operations);
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
    Value value =
        new Value(values.size(), like.name() + " gradient", like.rows(), like.width());
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
