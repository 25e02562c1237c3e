// SPDX-License-Identifier: Apache-2.0

/**
 * GGUF, versions 2 and 3: the byte table that this package reads and, as version 3, writes.
 *
 * <p>Source: the GGUF specification, {@code docs/gguf.md} of the ggml project; types above 35 and
 * the keys of split files follow llama.cpp ({@code ggml/include/ggml.h}, {@code tools/gguf-split}).
 *
 * <h2>File</h2>
 *
 * Little-endian throughout, fields follow each other without padding unless it is named here. The
 * two versions have the same bytes but for the version field. Version 1 (32-bit counts) and
 * big-endian files are refused.
 *
 * <pre>
 * bytes     field           checked when read
 * 4         magic           "GGUF" (47 47 55 46)
 * 4         version         2 or 3
 * 8         tensor count    fits what is left of the file (a tensor takes 33 bytes at least)
 * 8         key count       fits what is left of the file (a key takes 14 bytes at least)
 * …         keys            one after the other
 * …         tensor entries  one after the other
 * 0 to A−1  padding         to the next multiple of the alignment A
 * …         tensor data
 * </pre>
 *
 * Header, keys and entries together may take 128 MiB; vocabularies of today need below 20.
 *
 * <h2>Key</h2>
 *
 * <pre>
 * string    name            1 to 65,535 bytes, no name twice
 * 4         type            of the value, see below
 * …         value
 * </pre>
 *
 * <table>
 * <caption>Value types</caption>
 * <tr><th>id</th><th>type</th><th>bytes</th></tr>
 * <tr><td>0, 1</td><td>uint8, int8</td><td>1</td></tr>
 * <tr><td>2, 3</td><td>uint16, int16</td><td>2</td></tr>
 * <tr><td>4, 5</td><td>uint32, int32</td><td>4</td></tr>
 * <tr><td>6</td><td>float32</td><td>4</td></tr>
 * <tr><td>7</td><td>bool</td><td>1, the value 0 or 1</td></tr>
 * <tr><td>8</td><td>string</td><td>length in bytes (8), then UTF-8 without a final zero</td></tr>
 * <tr><td>9</td><td>array</td><td>element type (4), element count (8), the elements; nested up to
 *     4 deep</td></tr>
 * <tr><td>10, 11</td><td>uint64, int64</td><td>8</td></tr>
 * <tr><td>12</td><td>float64</td><td>8</td></tr>
 * </table>
 *
 * {@code general.alignment} sets A: an integer, a power of two from 8 to 1,048,576; 32 if absent.
 *
 * <h2>Tensor entry</h2>
 *
 * <pre>
 * string    name            1 to 64 bytes, no name twice
 * 4         dimensions      d, 1 to 4
 * 8 d       shape           innermost (contiguous) first; each at least 1, the product below 2^63,
 *                           the first a multiple of the type's block
 * 4         type            id in {@link dev.tokamak.model.format.gguf.GgufType}
 * 8         offset          from the start of the tensor data: a multiple of A, inside the file
 *                           with all of the tensor's bytes, sharing none with another tensor
 * </pre>
 *
 * The last tensor's padding may be missing; bytes after it are ignored.
 *
 * <h2>Blocks</h2>
 *
 * The types that the engine computes with. f16 is an IEEE half, a number in brackets counts bytes,
 * shifts are unsigned.
 *
 * <pre>{@code
 * F32, F16, BF16    1 element; 4, 2, 2 bytes
 * Q8_0             32 elements, 34 bytes: d f16, q[32] of int8
 *                  x[i] = d q[i]
 * Q4_0             32 elements, 18 bytes: d f16, q[16]; for i < 16
 *                  x[i]      = d ((q[i] & 15) - 8)
 *                  x[i + 16] = d ((q[i] >> 4) - 8)
 * Q4_K            256 elements, 144 bytes: d f16, dmin f16, k[12], q[128]
 *                  8 sub-blocks of 32, each with a scale s and a minimum m of 6 bits out of k:
 *                  j < 4   s = k[j] & 63       m = k[j + 4] & 63
 *                  j >= 4  s = (k[j + 4] & 15) | (k[j - 4] >> 6) << 4
 *                          m = (k[j + 4] >> 4) | (k[j] >> 6) << 4
 *                  sub-blocks 2g and 2g + 1 are the low and the high nibbles of the 32 bytes
 *                  from q[32 g] on;  x = d s nibble - dmin m
 * Q5_K            256 elements, 176 bytes: d f16, dmin f16, k[12], h[32], q[128]
 *                  as Q4_K, but bit j of h[i] is the fifth bit of element i of sub-block j
 * Q6_K            256 elements, 210 bytes: l[128], h[64], s[16] of int8, d f16
 *                  two halves of 128, each with 64 bytes of l, 32 of h, 8 of s; for i < 32
 *                  q[i]      = (l[i] & 15)      | (h[i] & 3) << 4
 *                  q[i + 32] = (l[i + 32] & 15) | (h[i] >> 2 & 3) << 4
 *                  q[i + 64] = (l[i] >> 4)      | (h[i] >> 4 & 3) << 4
 *                  q[i + 96] = (l[i + 32] >> 4) | (h[i] >> 6) << 4
 *                  x[i] = d s[i / 16] (q[i] - 32), for i < 128
 * }</pre>
 *
 * <h2>Split files</h2>
 *
 * A model may be cut into pieces {@code NAME-00001-of-00003.gguf} and so on, each a whole GGUF file
 * with its own tensors. Every piece has the keys {@code split.no} (from 0), {@code split.count} and
 * {@code split.tensors.count} (of all pieces); the first has all other metadata. A count of 0 or 1
 * means that the file is not split.
 */
package dev.tokamak.model.format.gguf;
