package dev.sarathi.streams.internal;

import dev.sarathi.runtime.Finish;
import dev.sarathi.runtime.FinishReason;
import dev.sarathi.streams.GenerationResult;
import dev.sarathi.streams.GenerationResult.Provenance;
import dev.sarathi.streams.GenerationResult.Tokens;
import dev.sarathi.streams.Origin;
import dev.sarathi.streams.Routed;
import java.time.Instant;
import java.util.ArrayList;
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
  private final Jobs<K, V, W> jobs;

  Outlet(
      final ProcessorContext<K, W> context,
      final Function<GenerationResult<K, V>, List<Routed<K, W>>> mapper,
      final Jobs<K, V, W> jobs) {
    this.context = context;
    this.mapper = mapper;
    this.jobs = jobs;
  }

  /**
   * Forwards the results of one request, of which there is at least one. Makes every record, and so
   * serialises it, before the first is forwarded.
   */
  void forward(final List<? extends GenerationResult<K, V>> results) {
    final List<Routed<K, W>> made = new ArrayList<>();
    results.forEach(result -> made.addAll(mapper.apply(result)));
    made.forEach(this::forward);
    jobs.count(results);
  }

  /**
   * Ends a request now: a last part, without tokens, of each choice that has not ended, and the
   * completion.
   */
  void end(
      final String id,
      final Origin<K, V> origin,
      final Provenance provenance,
      final Transcript all,
      final End end) {
    final Instant now = Instant.now();
    final List<GenerationResult<K, V>> results = new ArrayList<>();
    long unfinished = all.choices().stream().filter(choice -> !choice.hasEnded()).count();
    for (int i = 0; i < all.choices().size(); i++) {
      final Emitted choice = all.choices().get(i);
      if (!choice.hasEnded()) {
        final Finish finish = end.finish(choice.size());
        choice.end(finish);
        unfinished--;
        results.add(
            new Tokens<>(
                id,
                origin,
                i,
                choice.size(),
                List.of(),
                List.of(),
                List.of(),
                "",
                now,
                provenance,
                Optional.of(finish),
                unfinished == 0));
      }
    }
    results.add(all.completion(id, origin, provenance, now));
    forward(results);
  }

  /** How a request ends that does not end in the engine. */
  record End(FinishReason reason, Optional<String> error, int promptTokens) {
    private Finish finish(final int completionTokens) {
      return new Finish(
          reason, error, new Finish.Usage(promptTokens, completionTokens, 0), Finish.Timing.NONE);
    }
  }

  void forward(final Routed<K, W> routed) {
    if (routed.child().isPresent()) {
      context.forward(routed.record(), routed.child().get());
    } else {
      context.forward(routed.record());
    }
  }
}
