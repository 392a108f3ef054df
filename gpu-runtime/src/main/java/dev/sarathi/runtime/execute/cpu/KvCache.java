package dev.sarathi.runtime.execute.cpu;

import dev.sarathi.runtime.model.ModelConfig;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Keys and values of all layers, in blocks of {@link #BLOCK_TOKENS} positions, as floats outside
 * the heap. Per layer, block and head: keys as {@code [dimension][position]}, so that the lanes of
 * a score run along positions, then values as {@code [position][dimension]}, so that the lanes of
 * an output run along dimensions. Dimensions are padded with zeros to whole vectors.
 *
 * <p>Threading: rows of one batch are written to different slots and may be written at once.
 */
final class KvCache {
  static final int BLOCK_TOKENS = Lanes.VIRTUAL;

  final MemorySegment data;
  private final int blocks;
  private final int kvHeads;
  private final int headDim;
  private final int paddedDim;

  KvCache(final ModelConfig config, final int blocks, final Arena arena) {
    this.blocks = blocks;
    kvHeads = config.kvHeads();
    headDim = config.headDim();
    paddedDim = paddedDim(config);
    data = ZeroedMemory.allocate(arena, Math.multiplyExact(bytesPerBlock(config), blocks));
  }

  static int paddedDim(final ModelConfig config) {
    return (config.headDim() + Lanes.VIRTUAL - 1) / Lanes.VIRTUAL * Lanes.VIRTUAL;
  }

  static long bytesPerBlock(final ModelConfig config) {
    return 2L * 4 * config.layers() * config.kvHeads() * paddedDim(config) * BLOCK_TOKENS;
  }

  /** The byte offset of a block's keys. */
  long keys(final int layer, final int block, final int head) {
    return (((long) layer * blocks + block) * kvHeads + head) * (2L * 4 * paddedDim * BLOCK_TOKENS);
  }

  /** Floats from one block of a head to its next. */
  long blockStride() {
    return 2L * kvHeads * paddedDim * BLOCK_TOKENS;
  }

  /** The byte offset of a block's values. */
  long values(final int layer, final int block, final int head) {
    return keys(layer, block, head) + 4L * paddedDim * BLOCK_TOKENS;
  }

  /** Stores the key and the value of one head at one position of a block. */
  void write(
      final int layer,
      final int block,
      final int head,
      final int slot,
      final float[] source,
      final int keyOffset,
      final int valueOffset) {
    final long key = keys(layer, block, head) + 4L * slot;
    for (int d = 0; d < headDim; d++) {
      data.set(ValueLayout.JAVA_FLOAT, key + 4L * BLOCK_TOKENS * d, source[keyOffset + d]);
    }
    final long value = values(layer, block, head) + 4L * paddedDim * slot;
    MemorySegment.copy(source, valueOffset, data, ValueLayout.JAVA_FLOAT, value, headDim);
  }
}
