package dev.sarathi.streams.internal;

import dev.sarathi.runtime.Finish;
import dev.sarathi.streams.GenerationResult;
import dev.sarathi.streams.GenerationResult.Completion;
import dev.sarathi.streams.GenerationResult.Provenance;
import dev.sarathi.streams.GenerationResult.Tokens;
import dev.sarathi.streams.Origin;
import dev.sarathi.streams.Routed;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.apache.kafka.streams.processor.api.ProcessorContext;

/**
 * Where results leave the processor.
 *
 * <p>Threading: confined to the stream thread.
 */
final class Outlet<K, V, W> {
  private final ProcessorContext<K, W> context;
  private final Function<GenerationResult<K, V>, List<Routed<K, W>>> mapper;

  Outlet(
      final ProcessorContext<K, W> context,
      final Function<GenerationResult<K, V>, List<Routed<K, W>>> mapper) {
    this.context = context;
    this.mapper = mapper;
  }

  /** Makes every record, and so serialises it, before the first is forwarded. */
  void forward(final List<? extends GenerationResult<K, V>> results) {
    results.stream()
        .flatMap(result -> mapper.apply(result).stream())
        .toList()
        .forEach(this::forward);
  }

  /** The last part, without tokens, and the completion of a request that ends now. */
  void end(
      final String id,
      final Origin<K, V> origin,
      final Provenance provenance,
      final Finish finish,
      final Emitted all) {
    final List<Integer> tokens = all.tokenList();
    final Instant now = Instant.now();
    forward(
        List.of(
            new Tokens<>(
                id, origin, tokens.size(), List.of(), "", now, provenance, Optional.of(finish)),
            new Completion<>(id, origin, tokens, all.text(), now, provenance, finish)));
  }

  private void forward(final Routed<K, W> routed) {
    if (routed.child().isPresent()) {
      context.forward(routed.record(), routed.child().get());
    } else {
      context.forward(routed.record());
    }
  }
}
