// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format.safetensors;

import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * A tensor of a file. The data is a view of the mapped file, valid until the {@link
 * SafetensorsFile} is closed.
 *
 * @param name as in the file
 * @param shape outermost dimension first; empty for a single number
 * @param data exactly the tensor's bytes
 */
public record SafetensorsTensor(
    String name, SafetensorsType type, List<Long> shape, MemorySegment data) {
  /** For example {@code blk.0.attn_q.weight F32 [64, 32]}. */
  @Override
  public String toString() {
    return name + " " + type + " " + shape;
  }
}
