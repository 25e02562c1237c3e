// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

import dev.tokamak.backend.Value.Rows;
import java.util.Optional;

/**
 * One step of a {@link Program}. Each record states its operands and checks its shape rule when it
 * is made; what it computes stands in {@code ReferenceBackend}. Shapes use n for the rows of a step
 * and m for its outputs.
 */
public sealed interface Operation {
  /** The operation's name in messages and tables, such as {@code matmul}. */
  String name();

  /** The value that it writes; for {@link Store}, the keys that it read. */
  Value output();

  /** The operation with the tensor or layer that tells it from its like, for messages. */
  default String label() {
    return name() + " (" + output().name() + ")";
  }

  /** out[n, dim] = rows of table [vocab, dim] chosen by the batch's tokens. */
  record Embed(Tensor table, Value out) implements Operation {
    public Embed {
      check("embed", "out", out.width() == table.cols() && out.rows() == Rows.STEP, out, table);
    }

    @Override
    public String name() {
      return "embed";
    }

    @Override
    public Value output() {
      return out;
    }

    @Override
    public String label() {
      return "embed " + table.name();
    }
  }

  /**
   * RMS norm (Zhang and Sennrich 2019) over groups of {@code weight.cols()} values:
   * out = x / sqrt(mean(x²) + epsilon) · weight. A weight as wide as a head normalises each head.
   */
  record Norm(Value x, Tensor weight, float epsilon, Value out) implements Operation {
    public Norm {
      check("norm", "weight", isFloatVector(weight) && x.width() % weight.cols() == 0, x, weight);
      check("norm", "out", sameShape(x, out), out, weight);
    }

    @Override
    public String name() {
      return "norm";
    }

    @Override
    public Value output() {
      return out;
    }

    @Override
    public String label() {
      return "norm " + weight.name();
    }
  }

  /** out[·, outDim] = x[·, k] · weightᵀ + bias; weight [outDim, k] of any type, bias [outDim] F32. */
  record MatMul(Value x, Tensor weight, Optional<Tensor> bias, Value out) implements Operation {
    public MatMul {
      check("matmul", "weight", x.width() == weight.cols(), x, weight);
      check(
          "matmul", "out", out.width() == weight.rows() && out.rows() == x.rows(), out, weight);
      bias.ifPresent(
          b -> check("matmul", "bias", isFloatVector(b) && b.cols() == weight.rows(), out, b));
    }

    @Override
    public String name() {
      return "matmul";
    }

    @Override
    public Value output() {
      return out;
    }

    @Override
    public String label() {
      return "matmul " + weight.name() + bias.map(b -> " + " + b.name()).orElse("");
    }
  }

  /**
   * Rotary embedding (Su et al. 2021), in place: x [n, heads · headDim]. The table [positions,
   * rotaryDim] holds the cosines, then the sines, of each position's rotaryDim/2 angles; values of a
   * head past rotaryDim stay as they are.
   */
  record Rope(Value x, int headDim, Pairing pairing, Tensor table) implements Operation {
    /** Which values of a head turn together. */
    public enum Pairing {
      /** x[2i] with x[2i+1], as in the llama files of GGUF. */
      INTERLEAVED,
      /** x[i] with x[i + rotaryDim/2], as in GPT-NeoX and Qwen. */
      HALF_SPLIT
    }

    public Rope {
      check("rope", "x", headDim > 0 && x.width() % headDim == 0 && x.rows() == Rows.STEP, x, table);
      check(
          "rope",
          "table",
          table.type() == QuantType.F32 && table.cols() % 2 == 0 && table.cols() <= headDim,
          x,
          table);
    }

    @Override
    public String name() {
      return "rope";
    }

    @Override
    public Value output() {
      return x;
    }
  }

  /** Writes k and v [n, kvHeads · headDim] of one layer into the cache, at each row's position. */
  record Store(int layer, Value k, Value v) implements Operation {
    public Store {
      if (!sameShape(k, v) || k.rows() != Rows.STEP) {
        throw new BackendException("store: k " + k + " and v " + v + " must have one shape");
      }
    }

    @Override
    public String name() {
      return "store";
    }

    @Override
    public Value output() {
      return k;
    }

    @Override
    public String label() {
      return "store of layer " + layer;
    }
  }

  /**
   * Causal attention over the cache of one layer: q, out [n, heads · headDim]; a row sees its own
   * sequence up to its own position. Heads are grouped: heads / kvHeads of them share a key head.
   */
  record Attention(int layer, Value q, float scale, Value out) implements Operation {
    public Attention {
      if (!sameShape(q, out) || q.rows() != Rows.STEP) {
        throw new BackendException("attention: q " + q + " and out " + out + " must have one shape");
      }
    }

    @Override
    public String name() {
      return "attention";
    }

    @Override
    public Value output() {
      return out;
    }

    @Override
    public String label() {
      return "attention of layer " + layer;
    }
  }

  /** out = silu(gate) · up, elementwise; out may be gate or up. */
  record Gate(Value gate, Value up, Value out) implements Operation {
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
    public Value output() {
      return out;
    }
  }

  /** x += y, elementwise: the residual stream. */
  record Add(Value x, Value y) implements Operation {
    public Add {
      if (!sameShape(x, y)) {
        throw new BackendException("add: x " + x + " and y " + y + " must have one shape");
      }
    }

    @Override
    public String name() {
      return "add";
    }

    @Override
    public Value output() {
      return x;
    }
  }

  /** out[m, width] = the rows of x [n, width] whose logits are wanted. */
  record Select(Value x, Value out) implements Operation {
    public Select {
      if (x.width() != out.width() || x.rows() != Rows.STEP || out.rows() != Rows.OUTPUTS) {
        throw new BackendException("select: x " + x + " and out " + out + " do not fit");
      }
    }

    @Override
    public String name() {
      return "select";
    }

    @Override
    public Value output() {
      return out;
    }
  }

  private static boolean sameShape(Value a, Value b) {
    return a.width() == b.width() && a.rows() == b.rows();
  }

  private static boolean isFloatVector(Tensor t) {
    return t.rows() == 1 && t.type() == QuantType.F32;
  }

  private static void check(String operation, String operand, boolean fits, Value v, Tensor t) {
    if (!fits) {
      throw new BackendException(
          operation + ": " + operand + " does not fit: value " + v + ", tensor " + t);
    }
  }
}
