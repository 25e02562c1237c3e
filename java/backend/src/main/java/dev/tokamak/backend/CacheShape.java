// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

/**
 * The KV cache that a program's {@code store} and {@code attention} use. It consists of pages of
 * {@value #PAGE_TOKENS} tokens; a page holds the keys and values of all layers.
 *
 * @param type F32, F16, BF16 or Q8_0 (headDim a multiple of 32)
 * @param layers layers that store
 * @param kvHeads key and value heads
 * @param headDim values of a head, the same for keys and values
 */
public record CacheShape(QuantType type, int layers, int kvHeads, int headDim) {
  /** Tokens in a page; the native {@code TK_PAGE_TOKENS}. */
  public static final int PAGE_TOKENS = 16;

  public CacheShape {
    if (layers <= 0 || kvHeads <= 0 || headDim <= 0) {
      throw new BackendException(
          "cache: layers=" + layers + ", kvHeads=" + kvHeads + ", headDim=" + headDim
              + " must be positive");
    }
    boolean known =
        switch (type) {
          case F32, F16, BF16 -> true;
          case Q8_0 -> headDim % 32 == 0;
          case Q4_0, Q4_K, Q5_K, Q6_K -> false;
        };
    if (!known) {
      throw new BackendException(
          "cache: type " + type + " with headDim=" + headDim
              + ": expected f32, f16, bf16, or q8_0 with headDim a multiple of 32");
    }
  }

  /** Values that a token stores in one layer: keys, or values. */
  public int width() {
    return kvHeads * headDim;
  }

  /** Bytes that one token takes, all layers, keys and values, without padding. */
  public long bytesPerToken() {
    return 2L * layers * type.bytes(width());
  }
}
