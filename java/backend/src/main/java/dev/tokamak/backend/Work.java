// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

/**
 * What one operation asks of a machine in one step, by its definition alone: a kernel may move more,
 * never less.
 *
 * @param bytes operands, each read or written once; weights and cache in the layout of GGUF's types
 * @param operations multiplications and additions; exp, division and roots count as one each
 */
public record Work(double bytes, double operations) {
  /** The work of an operation in the step that a batch describes. */
  public static Work of(Operation operation, CacheShape cache, Batch batch) {
    return switch (operation) {
      case Operation.Embed op ->
          new Work(batch.rows() * (double) op.table().rowBytes() + bytes(op.out(), batch), 0);
      case Operation.Norm op -> {
        // A square and its sum, and two products a value; a root a group.
        double values = values(op.x(), batch);
        yield new Work(
            bytes(op.x(), batch) + bytes(op.out(), batch) + op.weight().data().byteSize(),
            4 * values + values / op.weight().cols());
      }
      case Operation.MatMul op ->
          new Work(
              op.weight().data().byteSize()
                  + op.bias().map(bias -> bias.data().byteSize()).orElse(0L)
                  + bytes(op.x(), batch)
                  + bytes(op.out(), batch),
              2 * values(op.x(), batch) * op.weight().rows()
                  + (op.bias().isPresent() ? values(op.out(), batch) : 0));
      case Operation.Rope op -> {
        // A pair of values turns by 4 products and 2 sums.
        double turned = values(op.x(), batch) / op.headDim() * op.table().cols();
        yield new Work(
            2 * turned * Float.BYTES + batch.rows() * (double) op.table().rowBytes(), 3 * turned);
      }
      case Operation.Store op ->
          new Work(
              2 * bytes(op.k(), batch) + 2.0 * batch.rows() * cache.type().bytes(cache.width()), 0);
      case Operation.Attention op -> attention(op, cache, batch);
      case Operation.Gate op ->
          // -x, exp, 1 +, the division, and the product
          new Work(3 * bytes(op.out(), batch), 5 * values(op.out(), batch));
      case Operation.Add op -> new Work(3 * bytes(op.x(), batch), values(op.x(), batch));
      case Operation.Select op -> new Work(2 * bytes(op.out(), batch), 0);
    };
  }

  /**
   * Each sequence's keys and values are read once, up to its furthest row; each row multiplies its
   * queries with all keys before it, and the probabilities with the values.
   */
  private static Work attention(Operation.Attention op, CacheShape cache, Batch batch) {
    int[] lengths = new int[batch.limits().sequences()];
    double attended = 0;
    for (int row = 0; row < batch.rows(); row++) {
      int length = batch.position(row) + 1;
      lengths[batch.sequence(row)] = Math.max(lengths[batch.sequence(row)], length);
      attended += length;
    }
    double cached = 0;
    for (int length : lengths) {
      cached += length;
    }
    double heads = (double) op.q().width() / cache.headDim();
    return new Work(
        2 * bytes(op.q(), batch) + 2 * cached * cache.type().bytes(cache.width()),
        attended * heads * (4.0 * cache.headDim() + 3)); // scale, exp and sum of a score
  }

  private static double values(Value value, Batch batch) {
    int rows = value.rows() == Value.Rows.STEP ? batch.rows() : batch.outputs();
    return (double) rows * value.width();
  }

  private static double bytes(Value value, Batch batch) {
    return values(value, batch) * Float.BYTES;
  }
}
