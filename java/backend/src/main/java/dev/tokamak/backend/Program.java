// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

import dev.tokamak.backend.Value.Rows;
import java.util.ArrayList;
import java.util.List;

/**
 * A forward pass, recorded once as a list of operations over named values and replayed for every
 * step. What changes from step to step is data in the {@link Batch}; a program never branches on
 * values.
 *
 * @param operations in the order of execution; the last one's output are the logits [m, vocab]
 * @param values all values, by id
 * @param cache the KV cache that store and attention use
 * @param blocks numbers of the operations that a block begins with, and of the one after the last
 *     block: between them, little is passed on; training may make a block's values again
 */
public record Program(
    List<Operation> operations, List<Value> values, CacheShape cache, List<Integer> blocks) {
  public Program {
    operations = List.copyOf(operations);
    values = List.copyOf(values);
    blocks = List.copyOf(blocks);
    if (operations.isEmpty()) {
      throw new BackendException("program: it has no operations");
    }
    for (Operation operation : operations) {
      checkCache(operation, cache);
    }
  }

  /** An empty recording. */
  public static Recorder record() {
    return new Recorder();
  }

  /** The result: the last operation's output. */
  public Value logits() {
    return operations.getLast().output();
  }

  private static void checkCache(Operation operation, CacheShape cache) {
    boolean fits =
        switch (operation) {
          case Operation.Store store ->
              store.layer() < cache.layers() && store.k().width() == cache.width();
          case Operation.Attention attention ->
              attention.layer() < cache.layers() && attention.q().width() % cache.width() == 0;
          default -> true;
        };
    if (!fits) {
      throw new BackendException("program: " + operation.label() + " does not fit " + cache);
    }
  }

  /** Records operations in order. */
  public static final class Recorder {
    private final List<Operation> operations = new ArrayList<>();
    private final List<Value> values = new ArrayList<>();
    private final List<Integer> blocks = new ArrayList<>();

    private Recorder() {}

    /** A new value; it may be written and read by any number of operations. */
    public Value value(String name, Rows rows, int width) {
      Value value = new Value(values.size(), name, rows, width);
      values.add(value);
      return value;
    }

    public void add(Operation operation) {
      operations.add(operation);
    }

    /** A block begins here, or the last one has ended. */
    public void block() {
      blocks.add(operations.size());
    }

    public Program end(CacheShape cache) {
      return new Program(operations, values, cache, blocks);
    }
  }
}
