// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Operation;
import dev.tokamak.backend.Program;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.Value;
import dev.tokamak.backend.train.TrainingOperation.Add;
import dev.tokamak.backend.train.TrainingOperation.Attention;
import dev.tokamak.backend.train.TrainingOperation.Embed;
import dev.tokamak.backend.train.TrainingOperation.Forward;
import dev.tokamak.backend.train.TrainingOperation.Gate;
import dev.tokamak.backend.train.TrainingOperation.LogProbability;
import dev.tokamak.backend.train.TrainingOperation.MatMul;
import dev.tokamak.backend.train.TrainingOperation.Norm;
import dev.tokamak.backend.train.TrainingOperation.Rope;
import dev.tokamak.backend.train.TrainingOperation.Scale;
import dev.tokamak.backend.train.TrainingOperation.Select;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Goes through an inference program and gives each write of a value a new value of its own, so that
 * nothing that the backward pass reads is overwritten.
 */
final class Translation {
  private final Parameters parameters;
  private final Map<String, Adapter> adapters;
  private final int headDim;
  private final List<Value> values = new ArrayList<>();
  private final List<Forward> forward = new ArrayList<>();
  private final List<Integer> blocks = new ArrayList<>();

  /** The last writing of each value of the program. */
  private final Map<Value, Value> current = new HashMap<>();

  /** Keys and values that a layer has stored. */
  private record Stored(Value k, Value v) {}

  private final Map<Integer, Stored> stored = new HashMap<>();

  Translation(Program program, Parameters parameters, Map<String, Adapter> adapters) {
    this.parameters = parameters;
    this.adapters = adapters;
    headDim = program.cache().headDim();
    for (int i = 0; i < program.operations().size(); i++) {
      if (program.blocks().contains(i)) {
        blocks.add(forward.size());
      }
      translate(program.operations().get(i));
    }
    Value logits = current(program.logits());
    forward.add(new LogProbability(logits, value("log sums", logits.rows(), 1)));
  }

  List<Value> values() {
    return values;
  }

  List<Forward> forward() {
    return forward;
  }

  /** Where blocks begin, and the last one ends: numbers of forward operations. */
  List<Integer> blocks() {
    return blocks;
  }

  private void translate(Operation operation) {
    switch (operation) {
      case Operation.Embed op -> forward.add(new Embed(parameter(op.table()), next(op.out())));
      case Operation.Norm op -> {
        Value x = current(op.x());
        forward.add(new Norm(x, parameter(op.weight()), op.epsilon(), next(op.out())));
      }
      case Operation.MatMul op -> matmul(op);
      case Operation.Rope op -> {
        Value x = current(op.x());
        forward.add(
            new Rope(x, op.headDim(), op.pairing(), op.table(), false, next(op.x())));
      }
      case Operation.Store op ->
          stored.put(op.layer(), new Stored(current(op.k()), current(op.v())));
      case Operation.Attention op -> attention(op);
      case Operation.Gate op -> {
        Value gate = current(op.gate());
        Value up = current(op.up());
        forward.add(new Gate(gate, up, next(op.out())));
      }
      case Operation.Add op -> {
        Value x = current(op.x());
        Value y = current(op.y());
        forward.add(new Add(x, y, next(op.x())));
      }
      case Operation.Select op -> {
        Value x = current(op.x());
        forward.add(new Select(x, next(op.out())));
      }
    }
  }

  private void matmul(Operation.MatMul op) {
    Value x = current(op.x());
    Value out = next(op.out());
    forward.add(
        new MatMul(x, parameter(op.weight()), op.bias().map(this::parameter), out));
    Adapter adapter = adapters.get(op.weight().name());
    if (adapter != null) {
      Value low = value("low rank", x.rows(), adapter.rank());
      Value scaled = value("scaled", x.rows(), adapter.rank());
      Value added = value("adapter", out.rows(), out.width());
      forward.add(new MatMul(x, adapter.a(), Optional.empty(), low));
      forward.add(new Scale(low, adapter.factor(), scaled));
      forward.add(new MatMul(scaled, adapter.b(), Optional.empty(), added));
      forward.add(new Add(out, added, next(op.out())));
    }
  }

  private void attention(Operation.Attention op) {
    Stored kv = stored.get(op.layer());
    if (kv == null) {
      throw new BackendException(
          "training program: " + op.label() + " comes before the store of its layer");
    }
    Value q = current(op.q());
    Value logSums = value("attention log sums", q.rows(), Math.max(1, q.width() / headDim));
    forward.add(
        new Attention(q, kv.k, kv.v, headDim, op.scale(), next(op.out()), logSums));
  }

  private Parameter parameter(Tensor tensor) {
    Parameter parameter = parameters.get(tensor.name());
    if (parameter.rows() != tensor.rows() || parameter.cols() != tensor.cols()) {
      throw new BackendException(
          "training program: parameter " + parameter + " does not fit tensor " + tensor);
    }
    return parameter;
  }

  private Value current(Value of) {
    Value value = current.get(of);
    if (value == null) {
      throw new BackendException("training program: value " + of + " is read before it is written");
    }
    return value;
  }

  /** A new value for the next writing of a program's value. */
  private Value next(Value of) {
    Value value = value(of.name(), of.rows(), of.width());
    current.put(of, value);
    return value;
  }

  private Value value(String name, Value.Rows rows, int width) {
    Value value = new Value(values.size(), name, rows, width);
    values.add(value);
    return value;
  }
}
