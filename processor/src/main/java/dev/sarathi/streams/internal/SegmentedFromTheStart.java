package dev.sarathi.streams.internal;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.WindowBytesStoreSupplier;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Supplies window stores that have a segment as soon as they are open, written to or not. Kafka
 * 4.3.1 keeps a window store's changelog offset in its segments: of a task that is handed on or
 * closed before anything was written there is no offset then, and the next to open it takes all its
 * stores for corrupted, wipes them and restores them from the beginning.
 *
 * <p>The segment is that of the epoch, for an entry under the empty key, which is not in the
 * changelog and no request's. What is written later is newer, so the store drops this segment as an
 * expired one, whatever the clocks say.
 *
 * @param stores of the stores themselves
 */
record SegmentedFromTheStart(WindowBytesStoreSupplier stores) implements WindowBytesStoreSupplier {
  private static final Bytes NOBODY = Bytes.wrap(new byte[0]);

  @Override
  @SuppressWarnings("unchecked")
  public WindowStore<Bytes, byte[]> get() {
    final WindowStore<Bytes, byte[]> store = stores.get();
    // Twenty methods would only pass on their arguments.
    final InvocationHandler forwarding =
        (proxy, method, arguments) -> {
          try {
            final Object result = method.invoke(store, arguments);
            if (method.getName().equals("init")) {
              ensureSegment(store);
            }
            return result;
          } catch (final InvocationTargetException e) {
            throw e.getCause();
          }
        };
    return (WindowStore<Bytes, byte[]>)
        Proxy.newProxyInstance(
            WindowStore.class.getClassLoader(), new Class<?>[] {WindowStore.class}, forwarding);
  }

  private static void ensureSegment(final WindowStore<Bytes, byte[]> store) {
    try (KeyValueIterator<?, byte[]> entries = store.all()) {
      if (!entries.hasNext()) {
        store.put(NOBODY, new byte[0], 0);
      }
    }
  }

  @Override
  public String name() {
    return stores.name();
  }

  @Override
  public String metricsScope() {
    return stores.metricsScope();
  }

  @Override
  public long segmentIntervalMs() {
    return stores.segmentIntervalMs();
  }

  @Override
  public long windowSize() {
    return stores.windowSize();
  }

  @Override
  public boolean retainDuplicates() {
    return stores.retainDuplicates();
  }

  @Override
  public long retentionPeriod() {
    return stores.retentionPeriod();
  }
}
