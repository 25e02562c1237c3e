// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format.gguf;

import dev.tokamak.backend.Tensor;
import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * An open GGUF model: metadata, and tensors as views of the mapped file. All pieces of a split
 * model are one {@code GgufFile}, whichever piece was named.
 *
 * <p>The file owns the mapping. {@link #close} ends it, and with it every {@link TensorInfo#data}
 * and {@link Tensor} that came from here; metadata stays. A file that another program cuts short
 * while it is open takes the pages away under the mapping, which no check here can see. Safe to
 * share between threads.
 */
public final class GgufFile implements AutoCloseable {
  private static final Pattern SPLIT_NAME = Pattern.compile("(.+)-(\\d{5})-of-(\\d{5})\\.gguf");
  private static final String SPLIT_NUMBER = "split.no";
  private static final String SPLIT_COUNT = "split.count";
  private static final String SPLIT_TENSORS = "split.tensors.count";
  private static final int HASH_CHUNK = 1 << 20;

  private final Path path;
  private final Arena arena;
  private final List<GgufPiece> pieces;
  private final Map<String, TensorInfo> tensors;

  private GgufFile(Path path, Arena arena, List<GgufPiece> pieces) {
    this.path = path;
    this.arena = arena;
    this.pieces = pieces;
    this.tensors = new LinkedHashMap<>();
    for (GgufPiece piece : pieces) {
      for (TensorInfo tensor : piece.tensors()) {
        TensorInfo other = tensors.putIfAbsent(tensor.name(), tensor);
        if (other != null) {
          throw tensor.problem("stands in " + other.file() + " too");
        }
      }
    }
  }

  /**
   * Opens a model file; of a split model, any piece opens all of them.
   *
   * @throws FormatException if it is not a GGUF file of version 2 or 3 that holds what its header
   *     says, cannot be read, or lacks a piece
   */
  public static GgufFile open(Path path) {
    Arena arena = Arena.ofShared();
    try {
      GgufPiece named = GgufReader.read(path, arena);
      int count = named.metadata().integer32(SPLIT_COUNT).orElse(1);
      List<GgufPiece> pieces = count <= 1 ? List.of(named) : pieces(named, count, arena);
      return new GgufFile(path, arena, pieces);
    } catch (Throwable e) {
      arena.close();
      throw e;
    }
  }

  private static List<GgufPiece> pieces(GgufPiece named, int count, Arena arena) {
    String file = named.path().getFileName().toString();
    Matcher name = SPLIT_NAME.matcher(file);
    if (!name.matches() || Integer.parseInt(name.group(3)) != count) {
      throw FormatException.at(
          file,
          "metadata key " + SPLIT_COUNT,
          "one of " + count + " pieces, expected a name such as " + pieceName("NAME", 0, count));
    }
    long expected = named.metadata().requireInteger(SPLIT_TENSORS);
    var pieces = new ArrayList<GgufPiece>();
    long tensors = 0;
    for (int i = 0; i < count; i++) {
      Path path = named.path().resolveSibling(pieceName(name.group(1), i, count));
      if (!Files.exists(path)) {
        throw new FormatException(
            path + ": missing: piece " + (i + 1) + " of " + count + " of the model of " + file);
      }
      boolean same = path.getFileName().toString().equals(file);
      GgufPiece piece = same ? named : GgufReader.read(path, arena);
      checkKey(piece, SPLIT_NUMBER, i);
      checkKey(piece, SPLIT_COUNT, count);
      checkKey(piece, SPLIT_TENSORS, expected);
      tensors += piece.tensors().size();
      pieces.add(piece);
    }
    if (tensors != expected) {
      throw FormatException.at(
          file,
          "metadata key " + SPLIT_TENSORS,
          "says " + expected + " tensors, the " + count + " pieces hold " + tensors);
    }
    return pieces;
  }

  private static String pieceName(String name, int index, int count) {
    return String.format("%s-%05d-of-%05d.gguf", name, index + 1, count);
  }

  private static void checkKey(GgufPiece piece, String key, long expected) {
    long found = piece.metadata().requireInteger(key);
    if (found != expected) {
      throw FormatException.at(
          piece.metadata().source(),
          "metadata key " + key,
          "expected " + expected + ", found " + found);
    }
  }

  /** The path that was opened. */
  public Path path() {
    return path;
  }

  /** The paths of all pieces in order; one if the model is not split. */
  public List<Path> paths() {
    return pieces.stream().map(GgufPiece::path).toList();
  }

  /** The version of the format: 2 or 3. */
  public int version() {
    return pieces.getFirst().version();
  }

  /** The metadata; of a split model, that of its first piece. */
  public Metadata metadata() {
    return pieces.getFirst().metadata();
  }

  /** All tensors in the file's order. */
  public Collection<TensorInfo> tensors() {
    return Collections.unmodifiableCollection(tensors.values());
  }

  /** What the file says of a tensor. */
  public Optional<TensorInfo> info(String name) {
    return Optional.ofNullable(tensors.get(name));
  }

  /**
   * A tensor as a matrix, or empty if the file has none of this name.
   *
   * @throws FormatException if the engine does not compute with its type
   */
  public Optional<Tensor> tensor(String name) {
    return info(name).map(TensorInfo::tensor);
  }

  /**
   * A tensor that must be there with this shape.
   *
   * @param rows product of all dimensions but the innermost; 1 for a vector
   * @param cols the innermost dimension
   * @throws FormatException if it is missing, has another shape, or a type that the engine does not
   *     compute with
   */
  public Tensor requireTensor(String name, long rows, long cols) {
    TensorInfo info =
        info(name)
            .orElseThrow(
                () ->
                    FormatException.at(
                        metadata().source(),
                        "tensor " + name,
                        "missing, expected shape [" + cols + ", " + rows + "]"));
    if (info.rows() != rows || info.cols() != cols) {
      throw info.problem("expected shape [" + cols + ", " + rows + "], found " + shapeOf(info));
    }
    return info.tensor();
  }

  private static String shapeOf(TensorInfo info) {
    return Arrays.toString(info.shape());
  }

  /** Bytes of all pieces. */
  public long bytes() {
    return pieces.stream().mapToLong(piece -> piece.map().byteSize()).sum();
  }

  /** SHA-256 over all bytes of the pieces in order, in hexadecimal. Reads the whole file. */
  public String sha256() {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (GgufPiece piece : pieces) {
        long size = piece.map().byteSize();
        for (long at = 0; at < size; at += HASH_CHUNK) {
          long length = Math.min(HASH_CHUNK, size - at);
          digest.update(piece.map().asSlice(at, length).asByteBuffer());
        }
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java platform has SHA-256", e);
    }
  }

  /** Ends the mapping; tensors of this file may not be used afterwards. */
  @Override
  public void close() {
    arena.close();
  }
}
