package dev.sarathi.streams;

import java.util.Map;
import java.util.Optional;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.Cache;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;
import org.rocksdb.WriteBufferManager;

/**
 * One bound on the memory of all RocksDB stores of the process, instead of Streams' 50 MiB of block
 * cache and 48 MiB of write buffers for each. The application sets it as {@code
 * rocksdb.config.setter} unless another is given; a topology of one's own may do the same.
 *
 * <p>Threading: stream threads open stores at any time; what they share is made once and never
 * changed. The first store to open decides how much it is.
 */
public final class StoreMemory implements RocksDBConfigSetter {
  /** In bytes, in the configuration of Streams; {@link #DEFAULT_BYTES} where it is missing. */
  public static final String BYTES_CONFIG = "sarathi.store.memory";

  /** The bound where none is configured. */
  public static final long DEFAULT_BYTES = 128L << 20;

  /** Small ones are flushed soon: there are about six stores for each task. */
  private static final long WRITE_BUFFER_BYTES = 4 << 20;

  private static final double INDEX_SHARE = 0.1;

  private record Shared(Cache cache, WriteBufferManager writeBuffers) {}

  private static Optional<Shared> shared = Optional.empty();

  private static synchronized Shared shared(final long bytes) {
    if (shared.isEmpty()) {
      final Cache cache = new LRUCache(bytes, -1, false, INDEX_SHARE);
      // What write buffers take is charged to the cache, so that there is one bound.
      shared = Optional.of(new Shared(cache, new WriteBufferManager(bytes / 2, cache)));
    }
    return shared.get();
  }

  /** For Streams, which makes one for each store. */
  public StoreMemory() {}

  @Override
  public void setConfig(
      final String storeName, final Options options, final Map<String, Object> configs) {
    final Object given = configs.getOrDefault(BYTES_CONFIG, DEFAULT_BYTES);
    final Shared memory =
        shared((Long) ConfigDef.parseType(BYTES_CONFIG, given, ConfigDef.Type.LONG));
    final BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
    table.setBlockCache(memory.cache);
    table.setCacheIndexAndFilterBlocks(true);
    table.setCacheIndexAndFilterBlocksWithHighPriority(true);
    table.setPinTopLevelIndexAndFilter(true);
    options.setTableFormatConfig(table);
    options.setWriteBufferManager(memory.writeBuffers);
    options.setWriteBufferSize(WRITE_BUFFER_BYTES);
  }

  /** Nothing to do: what a store was given belongs to all. */
  @Override
  public void close(final String storeName, final Options options) {}
}
