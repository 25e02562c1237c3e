// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.Value;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/**
 * One step of a {@link TrainingProgram}. Each operation writes values of its own and overwrites
 * none that another reads, so that whatever the backward pass needs is still there. Those of the
 * forward pass are {@link Forward} and state their gradient; those of the backward pass are listed
 * after them. n is the rows of a step, m its outputs; a gradient has the shape of what it is of.
 */
public sealed interface TrainingOperation {
  /** The operation's name in messages and tables, such as {@code matmul}. */
  String name();

  /** The values that it reads. */
  List<Value> reads();

  /** The values that it writes, whole. */
  List<Value> writes();

  /** An operation of the forward pass. */
  sealed interface Forward extends TrainingOperation {
    /** The parameters that it reads. */
    default List<Parameter> parameters() {
      return List.of();
    }

    /**
     * Records how the gradient of what it writes becomes gradients of what it reads. Called only if
     * there is a gradient, in the reverse order of the forward pass.
     */
    void gradient(Backward backward);

    /** The same operation over other values of the same shapes. */
    Forward over(UnaryOperator<Value> values);

    /** The operation with what tells it from its like, for messages. */
    default String label() {
      return parameters().isEmpty()
          ? name() + " (" + writes().getFirst().name() + ")"
          : name() + " " + parameters().getFirst().name();
    }
  }

  /** out[n, dim] = rows of table [vocab, dim] chosen by the batch's tokens. */
  record Embed(Parameter table, Value out) implements Forward {
    public Embed {
      check("embed", out.width() == table.cols(), table, out);
    }

    @Override
    public String name() {
      return "embed";
    }

    @Override
    public List<Value> reads() {
      return List.of();
    }

    @Override
    public List<Value> writes() {
      return List.of(out);
    }

    @Override
    public List<Parameter> parameters() {
      return List.of(table);
    }

    @Override
    public Forward over(UnaryOperator<Value> values) {
      return new Embed(table, values.apply(out));
    }

    @Override
    public void gradient(Backward backward) {
      backward.add(new EmbedGradient(backward.of(out), table));
    }
  }

  /** RMS norm over groups of weight.cols() values: out = x / sqrt(mean(x²) + epsilon) · weight. */
  record Norm(Value x, Parameter weight, float epsilon, Value out) implements Forward {
    public Norm {
      check("norm", x.width() % weight.cols() == 0 && sameShape(x, out), weight, x, out);
    }

    @Override
    public String name() {
      return "norm";
    }

    @Override
    public List<Value> reads() {
      return List.of(x);
    }

    @Override
    public List<Value> writes() {
      return List.of(out);
    }

    @Override
    public List<Parameter> parameters() {
      return List.of(weight);
    }

    @Override
    public Forward over(UnaryOperator<Value> values) {
      return new Norm(values.apply(x), weight, epsilon, values.apply(out));
    }

    @Override
    public void gradient(Backward backward) {
      Value contribution = backward.fresh(x);
      backward.add(new NormGradient(x, weight, epsilon, backward.of(out), contribution));
      backward.flow(x, contribution);
    }
  }

  /** out[·, outDim] = x[·, k] · weightᵀ + bias; weight [outDim, k], bias [outDim]. */
  record MatMul(Value x, Parameter weight, Optional<Parameter> bias, Value out)
      implements Forward {
    public MatMul {
      check(
          "matmul",
          x.width() == weight.cols() && out.width() == weight.rows() && x.rows() == out.rows(),
          weight,
          x,
          out);
      bias.ifPresent(b -> check("matmul", b.size() == weight.rows(), b, out));
    }

    @Override
    public String name() {
      return "matmul";
    }

    @Override
    public List<Value> reads() {
      return List.of(x);
    }

    @Override
    public List<Value> writes() {
      return List.of(out);
    }

    @Override
    public List<Parameter> parameters() {
      return Stream.concat(Stream.of(weight), bias.stream()).toList();
    }

    @Override
    public Forward over(UnaryOperator<Value> values) {
      return new MatMul(values.apply(x), weight, bias, values.apply(out));
    }

    @Override
    public void gradient(Backward backward) {
      Value gradient = backward.of(out);
      if (weight.trainable()) {
        backward.add(new WeightGradient(gradient, x, weight));
      }
      bias.filter(Parameter::trainable)
          .ifPresent(b -> backward.add(new BiasGradient(gradient, b)));
      if (backward.wants(x)) {
        backward.inputGradient(gradient, weight, x);
      }
    }
  }

  /**
   * Rotary embedding (Su et al. 2021), as in {@link dev.tokamak.backend.Operation.Rope}, into out.
   * The inverse turns the other way, which is the gradient: a rotation's transpose.
   */
  record Rope(
      Value x, int headDim, Pairing pairing, Tensor table, boolean inverse, Value out)
      implements Forward {
    public Rope {
      if (!sameShape(x, out) || headDim <= 0 || x.width() % headDim != 0) {
        throw new BackendException("rope: x " + x + " and out " + out + " do not fit");
      }
    }

    @Override
    public String name() {
      return "rope";
    }

    @Override
    public List<Value> reads() {
      return List.of(x);
    }

    @Override
    public List<Value> writes() {
      return List.of(out);
    }

    @Override
    public Forward over(UnaryOperator<Value> values) {
      return new Rope(values.apply(x), headDim, pairing, table, inverse, values.apply(out));
    }

    @Override
    public void gradient(Backward backward) {
      Value contribution = backward.fresh(x);
      backward.add(
          new Rope(backward.of(out), headDim, pairing, table, !inverse, contribution));
      backward.flow(x, contribution);
    }
  }

  /**
   * Causal attention among the rows of a step: q, out [n, heads · headDim], k, v [n, kvHeads ·
   * headDim]; a row sees the rows of its own sequence up to itself. logSums [n, heads] keeps
   * log Σ exp(score) of each softmax for the backward pass.
   */
  record Attention(Value q, Value k, Value v, int headDim, float scale, Value out, Value logSums)
      implements Forward {
    public Attention {
      if (!sameShape(q, out)
          || !sameShape(k, v)
          || headDim <= 0
          || q.width() % headDim != 0
          || k.width() % headDim != 0
          || q.width() % k.width() != 0
          || logSums.width() != q.width() / headDim) {
        throw new BackendException("attention: q " + q + ", k " + k + ", out " + out
            + ", log sums " + logSums + " do not fit heads of " + headDim);
      }
    }

    @Override
    public String name() {
      return "attention";
    }

    @Override
    public List<Value> reads() {
      return List.of(q, k, v);
    }

    @Override
    public List<Value> writes() {
      return List.of(out, logSums);
    }

    @Override
    public Forward over(UnaryOperator<Value> values) {
      return new Attention(
          values.apply(q),
          values.apply(k),
          values.apply(v),
          headDim,
          scale,
          values.apply(out),
          values.apply(logSums));
    }

    @Override
    public void gradient(Backward backward) {
      Value dq = backward.fresh(q);
      Value dk = backward.fresh(k);
      Value dv = backward.fresh(v);
      backward.add(new AttentionGradient(this, backward.of(out), dq, dk, dv));
      backward.flow(q, dq);
      backward.flow(k, dk);
      backward.flow(v, dv);
    }
  }

  /** out = silu(gate) · up, elementwise. */
  record Gate(Value gate, Value up, Value out) implements Forward {
    public Gate {
      if (!sameShape(gate, up) || !sameShape(gate, out)) {
        throw new BackendException(
            "gate: gate " + gate + ", up " + up + " and out " + out + " must have one shape");
      }
    }

    @Override
    public String name() {
      return "gate";
    }

    @Override
    public List<Value> reads() {
      return List.of(gate, up);
    }

    @Override
    public List<Value> writes() {
      return List.of(out);
    }

    @Override
    public Forward over(UnaryOperator<Value> values) {
      return new Gate(values.apply(gate), values.apply(up), values.apply(out));
    }

    @Override
    public void gradient(Backward backward) {
      Value dGate = backward.fresh(gate);
      Value dUp = backward.fresh(up);
      backward.add(new GateGradient(gate, up, backward.of(out), dGate, dUp));
      backward.flow(gate, dGate);
      backward.flow(up, dUp);
    }
  }

  /** out = x + y, elementwise. */
  record Add(Value x, Value y, Value out) implements Forward {
    public Add {
      if (!sameShape(x, y) || !sameShape(x, out)) {
        throw new BackendException(
            "add: x " + x + ", y " + y + " and out " + out + " must have one shape");
      }
    }

    @Override
    public String name() {
      return "add";
    }

    @Override
    public List<Value> reads() {
      return List.of(x, y);
    }

    @Override
    public List<Value> writes() {
      return List.of(out);
    }

    @Override
    public Forward over(UnaryOperator<Value> values) {
      return new Add(values.apply(x), values.apply(y), values.apply(out));
    }

    @Override
    public void gradient(Backward backward) {
      Value gradient = backward.of(out);
      backward.flow(x, gradient);
      backward.flow(y, gradient);
    }
  }

  /** out = factor · x: an adapter's α / rank. */
  record Scale(Value x, float factor, Value out) implements Forward {
    public Scale {
      if (!sameShape(x, out)) {
        throw new BackendException("scale: x " + x + " and out " + out + " must have one shape");
      }
    }

    @Override
    public String name() {
      return "scale";
    }

    @Override
    public List<Value> reads() {
      return List.of(x);
    }

    @Override
    public List<Value> writes() {
      return List.of(out);
    }

    @Override
    public Forward over(UnaryOperator<Value> values) {
      return new Scale(values.apply(x), factor, values.apply(out));
    }

    @Override
    public void gradient(Backward backward) {
      Value contribution = backward.fresh(x);
      backward.add(new Scale(backward.of(out), factor, contribution));
      backward.flow(x, contribution);
    }
  }

  /** out[m, width] = the rows of x [n, width] that have a target. */
  record Select(Value x, Value out) implements Forward {
    public Select {
      if (x.width() != out.width() || x.rows() != Value.Rows.STEP
          || out.rows() != Value.Rows.OUTPUTS) {
        throw new BackendException("select: x " + x + " and out " + out + " do not fit");
      }
    }

    @Override
    public String name() {
      return "select";
    }

    @Override
    public List<Value> reads() {
      return List.of(x);
    }

    @Override
    public List<Value> writes() {
      return List.of(out);
    }

    @Override
    public Forward over(UnaryOperator<Value> values) {
      return new Select(values.apply(x), values.apply(out));
    }

    @Override
    public void gradient(Backward backward) {
      Value contribution = backward.fresh(x);
      backward.add(new SelectGradient(backward.of(out), contribution));
      backward.flow(x, contribution);
    }
  }

  /**
   * The log probability of each output's target under softmax(logits [m, vocab]), into the batch;
   * logSums [m, 1] keeps log Σ exp(logit). Its gradient replaces the logits in place, so that a
   * large vocabulary needs one array of [m, vocab] and no more.
   */
  record LogProbability(Value logits, Value logSums) implements Forward {
    public LogProbability {
      if (logSums.width() != 1 || logSums.rows() != logits.rows()) {
        throw new BackendException(
            "log probability: logits " + logits + " and log sums " + logSums + " do not fit");
      }
    }

    @Override
    public String name() {
      return "log probability";
    }

    @Override
    public List<Value> reads() {
      return List.of(logits);
    }

    @Override
    public List<Value> writes() {
      return List.of(logSums);
    }

    @Override
    public Forward over(UnaryOperator<Value> values) {
      return new LogProbability(values.apply(logits), values.apply(logSums));
    }

    @Override
    public void gradient(Backward backward) {
      backward.add(new LogProbabilityGradient(logits, logSums));
      backward.flow(logits, logits);
    }
  }

  // ---- the backward pass: gradients of values are written, those of parameters are added to ----

  /** logits[i, j] = coefficient i · ([j = target i] − softmax(logits)[i, j]), in place. */
  record LogProbabilityGradient(Value logits, Value logSums) implements TrainingOperation {
    @Override
    public String name() {
      return "log probability gradient";
    }

    @Override
    public List<Value> reads() {
      return List.of(logits, logSums);
    }

    @Override
    public List<Value> writes() {
      return List.of(logits);
    }
  }

  /** table's gradient [token i] += outGradient [i], in the order of rows. */
  record EmbedGradient(Value outGradient, Parameter table) implements TrainingOperation {
    @Override
    public String name() {
      return "embed gradient";
    }

    @Override
    public List<Value> reads() {
      return List.of(outGradient);
    }

    @Override
    public List<Value> writes() {
      return List.of();
    }
  }

  /** xGradient [·, width]; weight's gradient, if it is trainable, += Σ over groups. */
  record NormGradient(
      Value x, Parameter weight, float epsilon, Value outGradient, Value xGradient)
      implements TrainingOperation {
    @Override
    public String name() {
      return "norm gradient";
    }

    @Override
    public List<Value> reads() {
      return List.of(x, outGradient);
    }

    @Override
    public List<Value> writes() {
      return List.of(xGradient);
    }
  }

  /** xGradient [·, k] = (or, accumulating, +=) outGradient [·, outDim] · weight [outDim, k]. */
  record InputGradient(Value outGradient, Parameter weight, boolean accumulate, Value xGradient)
      implements TrainingOperation {
    @Override
    public String name() {
      return "input gradient";
    }

    @Override
    public List<Value> reads() {
      return accumulate ? List.of(outGradient, xGradient) : List.of(outGradient);
    }

    @Override
    public List<Value> writes() {
      return List.of(xGradient);
    }
  }

  /** weight's gradient [outDim, k] += outGradientᵀ [outDim, ·] · x [·, k]. */
  record WeightGradient(Value outGradient, Value x, Parameter weight)
      implements TrainingOperation {
    @Override
    public String name() {
      return "weight gradient";
    }

    @Override
    public List<Value> reads() {
      return List.of(outGradient, x);
    }

    @Override
    public List<Value> writes() {
      return List.of();
    }
  }

  /** bias's gradient [outDim] += the sum of outGradient's rows. */
  record BiasGradient(Value outGradient, Parameter bias) implements TrainingOperation {
    @Override
    public String name() {
      return "bias gradient";
    }

    @Override
    public List<Value> reads() {
      return List.of(outGradient);
    }

    @Override
    public List<Value> writes() {
      return List.of();
    }
  }

  /**
   * Gradients of q, k and v, the softmax made again from the scores and logSums (Dao et al. 2022):
   * p = exp(score − logSum); dv = pᵀ·dOut; ds = p · (dOut·vᵀ − Σ dOut·out); dq = scale·ds·k; dk =
   * scale·dsᵀ·q, summed over the query heads that share a key head.
   */
  record AttentionGradient(
      Attention forward, Value outGradient, Value qGradient, Value kGradient, Value vGradient)
      implements TrainingOperation {
    @Override
    public String name() {
      return "attention gradient";
    }

    @Override
    public List<Value> reads() {
      return List.of(
          forward.q, forward.k, forward.v, forward.out, forward.logSums, outGradient);
    }

    @Override
    public List<Value> writes() {
      return List.of(qGradient, kGradient, vGradient);
    }
  }

  /** With σ the logistic function: dGate = dOut · up · σ(gate)·(1 + gate·(1 − σ(gate))), dUp = dOut · silu(gate). */
  record GateGradient(Value gate, Value up, Value outGradient, Value gateGradient, Value upGradient)
      implements TrainingOperation {
    @Override
    public String name() {
      return "gate gradient";
    }

    @Override
    public List<Value> reads() {
      return List.of(gate, up, outGradient);
    }

    @Override
    public List<Value> writes() {
      return List.of(gateGradient, upGradient);
    }
  }

  /** xGradient [n, width]: outGradient's rows where they came from, zero elsewhere. */
  record SelectGradient(Value outGradient, Value xGradient) implements TrainingOperation {
    @Override
    public String name() {
      return "select gradient";
    }

    @Override
    public List<Value> reads() {
      return List.of(outGradient);
    }

    @Override
    public List<Value> writes() {
      return List.of(xGradient);
    }
  }

  private static boolean sameShape(Value a, Value b) {
    return a.width() == b.width() && a.rows() == b.rows();
  }

  private static void check(String operation, boolean fits, Parameter parameter, Value... values) {
    if (!fits) {
      throw new BackendException(
          operation + ": parameter " + parameter + " does not fit " + List.of(values));
    }
  }
}
