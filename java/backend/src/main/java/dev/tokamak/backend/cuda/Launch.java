// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import dev.tokamak.backend.CacheShape;
import dev.tokamak.backend.Operation;
import dev.tokamak.backend.Program;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.BiFunction;

/** What one call of the kernels' library does: an operation, or several that follow each other. */
sealed interface Launch {
  /** The operations, in order. */
  List<Operation> operations();

  /** An operation by itself. */
  record One(Operation operation) implements Launch {
    @Override
    public List<Operation> operations() {
      return List.of(operation);
    }
  }

  /** The queries and keys of a layer are turned, keys and values stored. */
  record RopeStore(Operation.Rope q, Operation.Rope k, Operation.Store store) implements Launch {
    @Override
    public List<Operation> operations() {
      return List.of(q, k, store);
    }
  }

  /** Each operation by itself. */
  static List<Launch> unfused(Program program) {
    return program.operations().stream().map(operation -> (Launch) new One(operation)).toList();
  }

  /** The same with whatever the table of patterns knows in one launch. */
  static List<Launch> fused(Program program) {
    List<Operation> operations = program.operations();
    List<Launch> launches = new ArrayList<>();
    for (int at = 0; at < operations.size(); ) {
      Launch next = next(operations.subList(at, operations.size()), program.cache());
      launches.add(next);
      at += next.operations().size();
    }
    return launches;
  }

  private static Launch next(List<Operation> rest, CacheShape cache) {
    for (Pattern pattern : Pattern.ALL) {
      if (pattern.length <= rest.size()) {
        Optional<Launch> match = pattern.match.apply(rest.subList(0, pattern.length), cache);
        if (match.isPresent()) {
          return match.get();
        }
      }
    }
    return new One(rest.getFirst());
  }

  /** So many operations that may be one launch, and when they are. */
  record Pattern(int length, BiFunction<List<Operation>, CacheShape, Optional<Launch>> match) {
    static final List<Pattern> ALL = List.of(new Pattern(3, Pattern::ropeStore));

    private static Optional<Launch> ropeStore(List<Operation> three, CacheShape cache) {
      return three.get(0) instanceof Operation.Rope q
              && three.get(1) instanceof Operation.Rope k
              && three.get(2) instanceof Operation.Store store
              && store.k() == k.x()
              && q.x() != k.x()
              && q.table() == k.table()
              && q.pairing() == k.pairing()
              && q.headDim() == cache.headDim()
              && k.headDim() == cache.headDim()
          ? Optional.of(new RopeStore(q, k, store))
          : Optional.empty();
    }
  }
}
