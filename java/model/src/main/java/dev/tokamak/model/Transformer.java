// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.tokamak.backend.CacheShape;
import dev.tokamak.backend.Operation.Add;
import dev.tokamak.backend.Operation.Attention;
import dev.tokamak.backend.Operation.Embed;
import dev.tokamak.backend.Operation.Gate;
import dev.tokamak.backend.Operation.MatMul;
import dev.tokamak.backend.Operation.Norm;
import dev.tokamak.backend.Operation.Rope;
import dev.tokamak.backend.Operation.Select;
import dev.tokamak.backend.Operation.Store;
import dev.tokamak.backend.Program;
import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.Value;
import dev.tokamak.backend.Value.Rows;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The one transformer: a pre-norm decoder with rotary embeddings, grouped-query attention and a
 * gated feed-forward network (Touvron et al. 2023), as an {@link Architecture} describes it. It
 * finds the tensors in a source when it is made, each with its shape checked, and records the
 * forward pass.
 */
final class Transformer {
  /** The tensors of one block; names are those of the GGUF specification. */
  private record Block(
      Tensor attentionNorm,
      Tensor q,
      Tensor k,
      Tensor v,
      Optional<Tensor> qBias,
      Optional<Tensor> kBias,
      Optional<Tensor> vBias,
      Optional<Tensor> qNorm,
      Optional<Tensor> kNorm,
      Tensor output,
      Optional<Tensor> outputBias,
      Tensor hiddenNorm,
      Tensor gate,
      Tensor up,
      Tensor down,
      Optional<Tensor> gateBias,
      Optional<Tensor> upBias,
      Optional<Tensor> downBias) {}

  private final Architecture a;
  private final Tensor embedding;
  private final List<Block> blocks = new ArrayList<>();
  private final Tensor finalNorm;
  private final Tensor head;
  private final float[] frequencyFactors;
  private final Map<String, LowRank> adapters;

  /** Without adapters. */
  Transformer(Architecture architecture, TensorSource source) {
    a = architecture;
    adapters = Map.of();
    embedding = source.matrix("token_embd.weight", a.vocabulary(), a.dim());
    for (int layer = 0; layer < a.layers(); layer++) {
      blocks.add(block(source, "blk." + layer + "."));
    }
    finalNorm = source.vector("output_norm.weight", a.dim());
    head =
        a.tiedEmbeddings() ? embedding : source.matrix("output.weight", a.vocabulary(), a.dim());
    frequencyFactors =
        a.rotary().frequencyFactors()
            ? source.floats("rope_freqs.weight", a.rotary().dim() / 2)
            : new float[0];
  }

  private Transformer(Transformer base, Map<String, LowRank> adapters) {
    a = base.a;
    embedding = base.embedding;
    blocks.addAll(base.blocks);
    finalNorm = base.finalNorm;
    head = base.head;
    frequencyFactors = base.frequencyFactors;
    this.adapters = adapters;
  }

  /** The same with adapters of some of its {@link #matrices}, by their names. */
  Transformer with(Map<String, LowRank> adapters) {
    return new Transformer(this, adapters);
  }

  private Block block(TensorSource source, String prefix) {
    int qDim = a.heads() * a.headDim();
    int kvDim = a.kvHeads() * a.headDim();
    return new Block(
        source.vector(prefix + "attn_norm.weight", a.dim()),
        source.matrix(prefix + "attn_q.weight", qDim, a.dim()),
        source.matrix(prefix + "attn_k.weight", kvDim, a.dim()),
        source.matrix(prefix + "attn_v.weight", kvDim, a.dim()),
        vectorIf(a.qkvBias(), source, prefix + "attn_q.bias", qDim),
        vectorIf(a.qkvBias(), source, prefix + "attn_k.bias", kvDim),
        vectorIf(a.qkvBias(), source, prefix + "attn_v.bias", kvDim),
        vectorIf(a.qkNorm(), source, prefix + "attn_q_norm.weight", a.headDim()),
        vectorIf(a.qkNorm(), source, prefix + "attn_k_norm.weight", a.headDim()),
        source.matrix(prefix + "attn_output.weight", a.dim(), qDim),
        vectorIf(a.outputBias(), source, prefix + "attn_output.bias", a.dim()),
        source.vector(prefix + "ffn_norm.weight", a.dim()),
        source.matrix(prefix + "ffn_gate.weight", a.hidden(), a.dim()),
        source.matrix(prefix + "ffn_up.weight", a.hidden(), a.dim()),
        source.matrix(prefix + "ffn_down.weight", a.dim(), a.hidden()),
        vectorIf(a.hiddenBias(), source, prefix + "ffn_gate.bias", a.hidden()),
        vectorIf(a.hiddenBias(), source, prefix + "ffn_up.bias", a.hidden()),
        vectorIf(a.hiddenBias(), source, prefix + "ffn_down.bias", a.dim()));
  }

  private static Optional<Tensor> vectorIf(
      boolean wanted, TensorSource source, String name, int length) {
    return wanted ? Optional.of(source.vector(name, length)) : Optional.empty();
  }

  /** The weights of all matmuls, each once, the head last. */
  List<Tensor> matrices() {
    List<Tensor> matrices = new ArrayList<>();
    for (Block b : blocks) {
      matrices.addAll(List.of(b.q, b.k, b.v, b.output, b.gate, b.up, b.down));
    }
    adapters.values().forEach(adapter -> matrices.addAll(List.of(adapter.a(), adapter.b())));
    matrices.add(head);
    return matrices;
  }

  /** The same by name. A tied head is left out: it is the embedding table too. */
  Map<String, Tensor> named() {
    Map<String, Tensor> named = new HashMap<>();
    matrices().stream().filter(m -> m != embedding).forEach(m -> named.put(m.name(), m));
    return named;
  }

  /** The matrices and the embedding table, each once: all weights but short vectors. */
  List<Tensor> weights() {
    List<Tensor> weights = matrices();
    if (embedding != head) {
      weights.add(embedding);
    }
    return weights;
  }

  /**
   * Records the forward pass of one step.
   *
   * @param positions that the program must reach: the rows of its rotary table
   * @param arena that the rotary table lives in
   */
  Program record(CacheShape cache, int positions, Arena arena) {
    Tensor angles = rotaryTable(positions, arena);
    Program.Recorder program = Program.record();
    Products products = new Products(program);
    int qDim = a.heads() * a.headDim();
    int kvDim = a.kvHeads() * a.headDim();
    Value x = program.value("x", Rows.STEP, a.dim());
    Value normed = program.value("normed", Rows.STEP, a.dim());
    Value q = program.value("q", Rows.STEP, qDim);
    Value k = program.value("k", Rows.STEP, kvDim);
    Value v = program.value("v", Rows.STEP, kvDim);
    Value attended = program.value("attended", Rows.STEP, qDim);
    Value branch = program.value("branch", Rows.STEP, a.dim());
    Value gate = program.value("gate", Rows.STEP, a.hidden());
    Value up = program.value("up", Rows.STEP, a.hidden());
    float scale = (float) (1 / Math.sqrt(a.headDim()));

    program.add(new Embed(embedding, x));
    for (int layer = 0; layer < a.layers(); layer++) {
      Block b = blocks.get(layer);
      program.block();
      program.add(new Norm(x, b.attentionNorm, a.epsilon(), normed));
      products.add(normed, b.q, b.qBias, q);
      products.add(normed, b.k, b.kBias, k);
      products.add(normed, b.v, b.vBias, v);
      b.qNorm.ifPresent(weight -> program.add(new Norm(q, weight, a.epsilon(), q)));
      b.kNorm.ifPresent(weight -> program.add(new Norm(k, weight, a.epsilon(), k)));
      program.add(new Rope(q, a.headDim(), a.rotary().pairing(), angles));
      program.add(new Rope(k, a.headDim(), a.rotary().pairing(), angles));
      program.add(new Store(layer, k, v));
      program.add(new Attention(layer, q, scale, attended));
      products.add(attended, b.output, b.outputBias, branch);
      program.add(new Add(x, branch));
      program.add(new Norm(x, b.hiddenNorm, a.epsilon(), normed));
      products.add(normed, b.gate, b.gateBias, gate);
      products.add(normed, b.up, b.upBias, up);
      program.add(new Gate(gate, up, gate));
      products.add(gate, b.down, b.downBias, branch);
      program.add(new Add(x, branch));
    }
    program.block();
    Value last = program.value("last", Rows.OUTPUTS, a.dim());
    Value logits = program.value("logits", Rows.OUTPUTS, a.vocabulary());
    program.add(new Select(x, last));
    program.add(new Norm(last, finalNorm, a.epsilon(), last));
    products.add(last, head, Optional.empty(), logits);
    return program.end(cache);
  }

  /** Records products, each with what an adapter of its weight adds. */
  private final class Products {
    private final Program.Recorder program;

    /** Values that all adapters use in turn, by rows and width. */
    private final Map<String, Value> scratch = new HashMap<>();

    Products(Program.Recorder program) {
      this.program = program;
    }

    void add(Value x, Tensor weight, Optional<Tensor> bias, Value out) {
      program.add(new MatMul(x, weight, bias, out));
      LowRank adapter = adapters.get(weight.name());
      if (adapter != null) {
        Value low = scratch("low rank", x.rows(), (int) adapter.a().rows());
        Value added = scratch("adapter", out.rows(), out.width());
        program.add(new MatMul(x, adapter.a(), Optional.empty(), low));
        program.add(new MatMul(low, adapter.b(), Optional.empty(), added));
        program.add(new Add(out, added));
      }
    }

    private Value scratch(String name, Rows rows, int width) {
      return scratch.computeIfAbsent(
          name + rows + width, _ -> program.value(name, rows, width));
    }
  }

  /** Cosines and sines [positions, rotary dim], in double precision before they are stored. */
  private Tensor rotaryTable(int positions, Arena arena) {
    int half = a.rotary().dim() / 2;
    MemorySegment data = arena.allocate(JAVA_FLOAT, (long) positions * 2 * half);
    for (int i = 0; i < half; i++) {
      double frequency = Math.pow(a.rotary().base(), -2.0 * i / a.rotary().dim());
      if (frequencyFactors.length > 0) {
        frequency /= frequencyFactors[i];
      }
      for (int p = 0; p < positions; p++) {
        double angle = p / a.rotary().scale() * frequency;
        data.setAtIndex(JAVA_FLOAT, (long) p * 2 * half + i, (float) Math.cos(angle));
        data.setAtIndex(JAVA_FLOAT, (long) p * 2 * half + half + i, (float) Math.sin(angle));
      }
    }
    return new Tensor("rotary table", QuantType.F32, positions, 2L * half, data);
  }
}
