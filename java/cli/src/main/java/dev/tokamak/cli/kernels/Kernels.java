// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.kernels;

import dev.tokamak.backend.CacheShape;
import dev.tokamak.backend.Operation;
import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.Value;
import dev.tokamak.backend.Value.Rows;
import dev.tokamak.cli.kernels.Kernel.Check;
import dev.tokamak.cli.kernels.Kernel.Matrix;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * The rows that follow from shapes, each once: what a model's forward pass does in a layer, and at
 * both ends. Rows that share a matrix stand side by side.
 */
public final class Kernels {
  /** Positions of a step where nothing depends on how many there are. */
  private static final int SHORT_CONTEXT = 64;

  private static final float EPSILON = 1e-5f;

  private final Shapes shapes;
  private final Map<String, Kernel> kernels = new LinkedHashMap<>();

  private Kernels(Shapes shapes) {
    this.shapes = shapes;
  }

  /** Those of the first model only. */
  public static List<Kernel> ofFirst(Shapes shapes) {
    return of(shapes, shapes.models().subList(0, 1));
  }

  /** Those of all models. */
  public static List<Kernel> of(Shapes shapes) {
    return of(shapes, shapes.models());
  }

  private static List<Kernel> of(Shapes shapes, List<Shapes.Model> models) {
    Kernels all = new Kernels(shapes);
    models.forEach(all::products);
    models.forEach(all::embeddings);
    for (Shapes.Model model : models) {
      for (int rows : shapes.rows()) {
        all.rowOperations(model, rows);
        all.cacheOperations(model, rows);
      }
    }
    return List.copyOf(all.kernels.values());
  }

  private void add(Kernel kernel) {
    kernels.putIfAbsent(kernel.name(), kernel);
  }

  private void products(Shapes.Model model) {
    int heads = model.heads() * model.headDim();
    int kvHeads = model.kvHeads() * model.headDim();
    for (QuantType type : shapes.types()) {
      product(type, model.hidden(), heads, Integer.MAX_VALUE);
      product(type, model.hidden(), kvHeads, Integer.MAX_VALUE);
      product(type, heads, model.hidden(), Integer.MAX_VALUE);
      product(type, model.hidden(), model.ffn(), Integer.MAX_VALUE);
      product(type, model.ffn(), model.hidden(), Integer.MAX_VALUE);
      // The head: a prompt's tokens want no logits but the last.
      product(type, model.hidden(), model.vocabulary(), Kernel.MOST_SEQUENCES);
    }
  }

  private void product(QuantType type, int cols, int outDim, int mostRows) {
    if (cols % type.blockElements() != 0) {
      return;
    }
    for (int rows : shapes.rows()) {
      if (rows > mostRows) {
        continue;
      }
      add(
          new Kernel(
              "matmul",
              type,
              rows + "x" + cols + "x" + outDim,
              rows,
              context(rows),
              Math.max(cols, outDim),
              Optional.of(new Matrix(type, outDim, cols, true)),
              Optional.empty(),
              Check.FOUR_TOKENS,
              (recording, repeats) -> {
                Value x = recording.input(cols);
                Value out = recording.value(outDim);
                for (int i = 0; i < repeats; i++) {
                  recording.add(
                      new Operation.MatMul(x, recording.matrix(i), Optional.empty(), out));
                }
                return out;
              }));
    }
  }

  private void embeddings(Shapes.Model model) {
    for (QuantType type : shapes.types()) {
      if (model.hidden() % type.blockElements() != 0) {
        continue;
      }
      for (boolean packed : new boolean[] {false, true}) {
        for (int rows : shapes.rows()) {
          embedding(type, model.hidden(), packed, rows);
        }
      }
    }
  }

  /**
   * @param packed of a table that is the head too, so that a product's layout is read
   */
  private void embedding(QuantType type, int dim, boolean packed, int rows) {
    add(
        new Kernel(
            "embed",
            type,
            rows + "x" + dim + (packed ? ":packed" : ""),
            rows,
            context(rows),
            dim,
            Optional.of(new Matrix(type, Operands.TOKENS, dim, packed)),
            Optional.empty(),
            Check.EVERY_ROW,
            (recording, repeats) -> {
              Value out = recording.value(dim);
              for (int i = 0; i < repeats; i++) {
                recording.add(new Operation.Embed(recording.matrix(i), out));
              }
              return out;
            }));
  }

  private void rowOperations(Shapes.Model model, int rows) {
    int hidden = model.hidden();
    int heads = model.heads() * model.headDim();
    norm(rows, hidden, hidden);
    if (model.headNorm()) {
      norm(rows, heads, model.headDim());
    }
    plain(
        "rope",
        rows + "x" + model.heads() + "x" + model.headDim() + ":"
            + model.rope().name().toLowerCase(Locale.ROOT),
        rows,
        heads,
        (recording, repeats) -> {
          Value x = recording.input(heads);
          Tensor angles = recording.angles(model.headDim());
          for (int i = 0; i < repeats; i++) {
            recording.add(new Operation.Rope(x, model.headDim(), model.rope(), angles));
          }
          return x;
        });
    plain(
        "gate",
        rows + "x" + model.ffn(),
        rows,
        model.ffn(),
        (recording, repeats) -> {
          Value gate = recording.input(model.ffn());
          Value up = recording.input(model.ffn());
          Value out = recording.value(model.ffn());
          for (int i = 0; i < repeats; i++) {
            recording.add(new Operation.Gate(gate, up, out));
          }
          return out;
        });
    plain(
        "add",
        rows + "x" + hidden,
        rows,
        hidden,
        (recording, repeats) -> {
          Value x = recording.input(hidden);
          Value y = recording.input(hidden);
          for (int i = 0; i < repeats; i++) {
            recording.add(new Operation.Add(x, y));
          }
          return x;
        });
    plain(
        "select",
        rows + "x" + hidden,
        rows,
        hidden,
        (recording, repeats) -> {
          Value x = recording.input(hidden);
          Value out = recording.value(Rows.OUTPUTS, hidden);
          for (int i = 0; i < repeats; i++) {
            recording.add(new Operation.Select(x, out));
          }
          return out;
        });
  }

  private void norm(int rows, int width, int dim) {
    plain(
        "norm",
        rows + (width == dim ? "x" : "x" + width / dim + "x") + dim,
        rows,
        width,
        (recording, repeats) -> {
          Value x = recording.input(width);
          Value out = recording.value(width);
          Tensor weight = recording.vector(dim);
          for (int i = 0; i < repeats; i++) {
            recording.add(new Operation.Norm(x, weight, EPSILON, out));
          }
          return out;
        });
  }

  /** An operation without weights to speak of. */
  private void plain(
      String operation, String shape, int rows, int width, Kernel.Recipe recipe) {
    add(
        new Kernel(
            operation,
            QuantType.F32,
            shape,
            rows,
            context(rows),
            width,
            Optional.empty(),
            Optional.empty(),
            Check.EVERY_ROW,
            recipe));
  }

  private void cacheOperations(Shapes.Model model, int rows) {
    int kvWidth = model.kvHeads() * model.headDim();
    float scale = (float) (1 / Math.sqrt(model.headDim()));
    for (QuantType type : shapes.caches()) {
      if (model.headDim() % type.blockElements() != 0) {
        continue;
      }
      CacheShape cache = new CacheShape(type, 1, model.kvHeads(), model.headDim());
      cached(
          "store",
          rows + "x" + model.kvHeads() + "x" + model.headDim(),
          rows,
          context(rows),
          kvWidth,
          cache,
          (recording, repeats) -> {
            Value k = recording.input(kvWidth);
            Value v = recording.input(kvWidth);
            for (int i = 0; i < repeats; i++) {
              recording.add(new Operation.Store(i, k, v));
            }
            // What was stored is seen by reading it: one head for each of the cache.
            Value out = recording.value(kvWidth);
            recording.add(new Operation.Attention(0, recording.input(kvWidth), scale, out));
            return out;
          });
      for (int context : shapes.contexts()) {
        if (rows > Kernel.MOST_SEQUENCES && rows > context) {
          continue;
        }
        cached(
            "attention",
            rows + "x" + model.heads() + ":" + model.kvHeads() + "x" + model.headDim() + "@"
                + context,
            rows,
            context,
            model.heads() * model.headDim(),
            cache,
            (recording, repeats) -> {
              Value k = recording.input(kvWidth);
              Value v = recording.input(kvWidth);
              for (int layer = 0; layer < recording.layers(); layer++) {
                recording.add(new Operation.Store(layer, k, v));
              }
              Value q = recording.input(model.heads() * model.headDim());
              Value out = recording.value(model.heads() * model.headDim());
              for (int i = 0; i < repeats; i++) {
                recording.add(new Operation.Attention(i, q, scale, out));
              }
              return out;
            });
      }
    }
  }

  private void cached(
      String operation,
      String shape,
      int rows,
      int context,
      int width,
      CacheShape cache,
      Kernel.Recipe recipe) {
    add(
        new Kernel(
            operation,
            cache.type(),
            shape,
            rows,
            context,
            width,
            Optional.empty(),
            Optional.of(cache),
            Check.FOUR_ROWS,
            recipe));
  }

  private static int context(int rows) {
    return Math.max(rows, SHORT_CONTEXT);
  }
}
