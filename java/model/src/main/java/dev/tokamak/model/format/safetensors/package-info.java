// SPDX-License-Identifier: Apache-2.0

/**
 * safetensors: the byte table that this package reads and writes.
 *
 * <p>Source: the README of Hugging Face's safetensors project, section "Format", and its validating
 * reader, {@code safetensors/src/tensor.rs}.
 *
 * <h2>File</h2>
 *
 * Little-endian throughout.
 *
 * <pre>
 * bytes  field         checked when read
 * 8      header size   N, unsigned: at least 2, at most 100,000,000, and inside the file
 * N      header        JSON, an object that begins with '{'; spaces may follow it
 * …      data          the tensors' bytes, nothing between them and nothing behind
 * </pre>
 *
 * <h2>Header</h2>
 *
 * <pre>{@code
 * {"__metadata__": {"step": "50"},
 *  "blk.0.attn_q.weight": {"dtype": "F32", "shape": [64, 64], "data_offsets": [0, 16384]}}
 * }</pre>
 *
 * {@code __metadata__} may be absent; its values are strings. Of a tensor, {@code dtype} is a name
 * in {@link dev.tokamak.model.format.safetensors.SafetensorsType}; {@code shape} has the outermost
 * dimension first, each 0 or more, the product below 2^63, and is empty for a single number; {@code
 * data_offsets} are the first byte and the one behind the last, from the start of the data, as far
 * apart as type and shape say. Together the tensors cover the data: each byte belongs to one. No
 * key stands twice.
 *
 * <p>Written here, the header is padded with spaces so that the data begins at a multiple of 8, and
 * tensors lie in the order they were added.
 */
package dev.tokamak.model.format.safetensors;
