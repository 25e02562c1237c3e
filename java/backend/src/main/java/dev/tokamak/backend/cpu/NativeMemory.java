// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cpu;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.nativelib.TokamakNative;
import java.util.ArrayList;
import java.util.List;

/** Owns pieces of zeroed native memory and frees them all at once. */
final class NativeMemory implements AutoCloseable {
  private record Piece(long address, long bytes) {}

  private final List<Piece> pieces = new ArrayList<>();

  /** Address of so many zeroed bytes; the system takes pages only when they are touched. */
  long allocate(long bytes, String what) {
    if (bytes == 0) {
      return 0;
    }
    long address = bytes < 0 ? 0 : TokamakNative.tk_memory_allocate(bytes);
    if (address == 0) {
      throw new BackendException("cpu: no memory for " + what + ": " + bytes + " bytes");
    }
    pieces.add(new Piece(address, bytes));
    return address;
  }

  /** Bytes allocated. */
  long bytes() {
    return pieces.stream().mapToLong(Piece::bytes).sum();
  }

  @Override
  public void close() {
    pieces.forEach(piece -> TokamakNative.tk_memory_free(piece.address, piece.bytes));
    pieces.clear();
  }
}
