package dev.sarathi.runtime.model;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;

/**
 * A weight in its file: row-major, little-endian.
 *
 * @param data the mapped bytes, readable by any thread until the model is closed; aligned to
 *     nothing
 */
public record Tensor(String name, DataType dataType, List<Long> shape, MemorySegment data) {

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  public Tensor {
    shape = List.copyOf(shape);
  }

  /** The element at this row-major index, widened without loss. */
  public float get(final long index) {
    return switch (dataType) {
      case F32 -> data.get(FLOAT, index * 4);
      case BF16 -> Float.intBitsToFloat(data.get(SHORT, index * 2) << 16);
      case F16 -> Float.float16ToFloat(data.get(SHORT, index * 2));
    };
  }

  /** All elements, for the small weights. */
  public float[] toFloats() {
    final float[] values = new float[Math.toIntExact(data.byteSize() / dataType.bytes())];
    for (int i = 0; i < values.length; i++) {
      values[i] = get(i);
    }
    return values;
  }
}
