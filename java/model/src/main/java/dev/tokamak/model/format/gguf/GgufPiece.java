// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format.gguf;

import dev.tokamak.model.format.Metadata;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;

/** One file on disk: a whole model, or one piece of a split one. */
record GgufPiece(
    Path path, int version, Metadata metadata, List<TensorInfo> tensors, MemorySegment map) {}
