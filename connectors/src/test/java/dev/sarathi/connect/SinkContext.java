package dev.sarathi.connect;

import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.connect.sink.ErrantRecordReporter;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.sink.SinkTaskContext;

/** What a sink task asks its worker for, noted down. */
final class SinkContext {
  final List<SinkRecord> errant = new ArrayList<>();
  final List<Throwable> reasons = new ArrayList<>();
  final List<String> calls = new ArrayList<>();
  private boolean reports = true;

  /** Without settings for dead letters, a worker has no reporter. */
  SinkContext withoutDeadLetters() {
    reports = false;
    return this;
  }

  SinkTaskContext context() {
    final ErrantRecordReporter reporter =
        (record, error) -> {
          errant.add(record);
          reasons.add(error);
          return CompletableFuture.completedFuture(null);
        };
    return (SinkTaskContext)
        Proxy.newProxyInstance(
            SinkTaskContext.class.getClassLoader(),
            new Class<?>[] {SinkTaskContext.class},
            (proxy, method, arguments) -> {
              if (method.getName().equals("errantRecordReporter")) {
                return reports ? reporter : null;
              }
              calls.add(method.getName());
              return null;
            });
  }
}
