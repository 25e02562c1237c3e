// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import dev.tokamak.backend.QuantType;
import dev.tokamak.model.Inference;
import dev.tokamak.model.Model;

/**
 * What a {@link Session} or {@link Batcher} has room for. Its memory is taken at once.
 *
 * @param context tokens of one sequence, prompt and answer together
 * @param chunk prompt tokens in a step, at most
 * @param sequences in a step, at most
 * @param cacheType how keys and values are stored
 */
public record Capacity(int context, int chunk, int sequences, QuantType cacheType) {
  /** The context unless the model's is smaller or the caller says otherwise; tokens. */
  public static final int DEFAULT_CONTEXT = 8192;

  /** Pages, positions and rows are counted in ints. */
  private static final int MOST_TOKENS = 1 << 30;

  /** Prompt tokens in a step unless the caller says otherwise. */
  public static final int DEFAULT_CHUNK = 512;

  public Capacity {
    positive("ctx", context);
    positive("chunk", chunk);
    positive("sequences", sequences);
    if ((long) context * sequences > MOST_TOKENS) {
      throw new IllegalArgumentException(
          "ctx: expected at most " + MOST_TOKENS + " tokens in all sequences, found "
              + (long) context * sequences);
    }
  }

  private static void positive(String name, int value) {
    if (value < 1) {
      throw new IllegalArgumentException(name + ": expected 1 or more, found " + value);
    }
  }

  /** One sequence, with the model's context up to {@link #DEFAULT_CONTEXT}. */
  public static Capacity of(Model model) {
    return new Capacity(
        Math.min(model.architecture().context(), DEFAULT_CONTEXT),
        DEFAULT_CHUNK,
        1,
        model.defaultCacheType());
  }

  public Capacity withContext(int value) {
    return new Capacity(value, chunk, sequences, cacheType);
  }

  public Capacity withChunk(int value) {
    return new Capacity(context, value, sequences, cacheType);
  }

  public Capacity withSequences(int value) {
    return new Capacity(context, chunk, value, cacheType);
  }

  public Capacity withCacheType(QuantType value) {
    return new Capacity(context, chunk, sequences, value);
  }

  /** Rows for a chunk of one prompt and a token of every other sequence. */
  Inference.Shape shape() {
    int rows = Math.addExact(Math.min(chunk, context), sequences - 1);
    return new Inference.Shape(context, rows, sequences, sequences, cacheType);
  }
}
