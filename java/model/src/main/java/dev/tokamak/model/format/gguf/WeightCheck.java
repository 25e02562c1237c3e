// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format.gguf;

import dev.tokamak.backend.QuantType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Looks at every weight of a file for values that are not finite: each element of F32, F16 and
 * BF16, each scale and minimum (d, dmin) of a quantised block. Reads the whole file.
 */
public final class WeightCheck {
  /**
   * A tensor with values that are not finite.
   *
   * @param tensor its name
   * @param index of the first such element, in the file's order; of a block's scale, the block's
   *     first element
   * @param value what stands there: {@code NaN}, {@code Infinity}, or {@code block scale d = NaN}
   * @param count of such elements or scales in the tensor
   */
  public record Finding(String tensor, long index, String value, long count) {
    /** For example {@code blk.0.attn_q.weight[96]: block scale d = NaN (3 in all)}. */
    @Override
    public String toString() {
      return tensor + "[" + index + "]: " + value + (count > 1 ? " (" + count + " in all)" : "");
    }
  }

  /**
   * @param findings in the file's order, one a tensor at most
   * @param unchecked tensors of types whose blocks are not known here
   */
  public record Report(List<Finding> findings, List<TensorInfo> unchecked) {}

  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;

  private WeightCheck() {}

  public static Report scan(GgufFile file) {
    var findings = new ArrayList<Finding>();
    var unchecked = new ArrayList<TensorInfo>();
    for (TensorInfo tensor : file.tensors()) {
      Optional<QuantType> type = tensor.type().quantType();
      if (type.isPresent()) {
        scan(tensor, type.get()).ifPresent(findings::add);
      } else {
        unchecked.add(tensor);
      }
    }
    return new Report(List.copyOf(findings), List.copyOf(unchecked));
  }

  private static Optional<Finding> scan(TensorInfo tensor, QuantType type) {
    return switch (type) {
      case F32 -> floats(tensor);
      case F16 -> halves(tensor, type, "", 0, 0x7c00);
      case BF16 -> halves(tensor, type, "", 0, 0x7f80);
      case Q4_0, Q8_0 -> halves(tensor, type, "block scale d = ", 0, 0x7c00);
      case Q6_K -> halves(tensor, type, "block scale d = ", 208, 0x7c00);
      case Q4_K, Q5_K ->
          halves(tensor, type, "block scale d = ", 0, 0x7c00)
              .or(() -> halves(tensor, type, "block minimum dmin = ", 2, 0x7c00));
    };
  }

  private static Optional<Finding> floats(TensorInfo tensor) {
    MemorySegment data = tensor.data();
    long first = -1;
    long count = 0;
    for (long at = 0; at < data.byteSize(); at += 4) {
      if ((data.get(INT, at) & 0x7f80_0000) == 0x7f80_0000) {
        first = count++ == 0 ? at / 4 : first;
      }
    }
    if (count == 0) {
      return Optional.empty();
    }
    float value = Float.intBitsToFloat(data.get(INT, first * 4));
    return Optional.of(new Finding(tensor.name(), first, Float.toString(value), count));
  }

  /**
   * One 16-bit float in every block.
   *
   * @param field offset in the block, bytes
   * @param exponent mask of the exponent bits; all of them set is not finite
   */
  private static Optional<Finding> halves(
      TensorInfo tensor, QuantType type, String what, int field, int exponent) {
    MemorySegment data = tensor.data();
    int stride = type.blockBytes();
    long first = -1;
    long count = 0;
    for (long at = field; at < data.byteSize(); at += stride) {
      if ((data.get(SHORT, at) & exponent) == exponent) {
        first = count++ == 0 ? at / stride : first;
      }
    }
    if (count == 0) {
      return Optional.empty();
    }
    int bits = data.get(SHORT, first * stride + field);
    boolean nan = (bits & 0x7fff & ~exponent) != 0;
    String value = nan ? "NaN" : bits < 0 ? "-Infinity" : "Infinity";
    long index = first * type.blockElements();
    return Optional.of(new Finding(tensor.name(), index, what + value, count));
  }
}
