package dev.sarathi.runtime;

import dev.sarathi.runtime.schedule.Sequence;
import dev.sarathi.runtime.schedule.Slice;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A generation in the engine: follows its sequence's tokens, decides when it ends, tells its
 * listener.
 *
 * <p>Threading: confined to the engine thread, but for {@link #cancel} and {@link #abandon}, which
 * hand over to it.
 */
final class LiveGeneration implements GenerationHandle {
  private static final Logger LOG = LoggerFactory.getLogger(LiveGeneration.class);
  private static final int[] NO_TOKENS = {};

  private final GenerationRequest request;
  private final Sequence sequence;
  private final int promptLength;
  private final int maxTokens;
  private final Set<Integer> eosTokens;
  private final TextStream text;
  private final TokenListener listener;
  private final Consumer<Runnable> engineThread;
  private final Consumer<LiveGeneration> ended;
  private final LongSupplier clock;
  private final long submitted;
  private long firstScheduled = -1;
  private long firstToken = -1;
  private long lastToken = -1;
  private long longestGap;
  private boolean over;

  /**
   * @param maxTokens the request's maximum, cut to what the context holds
   * @param eosTokens the tokens by which the model ends; none when the request ignores them
   * @param engineThread runs an action on the engine thread
   * @param ended called once when the generation is over, on the engine thread
   * @param clock the executor's clock
   */
  LiveGeneration(
      final GenerationRequest request,
      final Sequence sequence,
      final int promptLength,
      final int maxTokens,
      final Set<Integer> eosTokens,
      final TextStream text,
      final TokenListener listener,
      final Consumer<Runnable> engineThread,
      final Consumer<LiveGeneration> ended,
      final LongSupplier clock) {
    this.request = request;
    this.sequence = sequence;
    this.promptLength = promptLength;
    this.maxTokens = maxTokens;
    this.eosTokens = eosTokens;
    this.text = text;
    this.listener = listener;
    this.engineThread = engineThread;
    this.ended = ended;
    this.clock = clock;
    this.submitted = clock.getAsLong();
  }

  Sequence sequence() {
    return sequence;
  }

  /** What a slice of its sequence computes; to be asked before the next batch is planned. */
  Iteration.Part part(final Slice slice) {
    return new Iteration.Part(
        sequence.id(),
        request.id(),
        0,
        sequence.isPrefill(slice.start()),
        slice.start(),
        slice.count());
  }

  Optional<Instant> deadline() {
    return request.deadline();
  }

  @Override
  public void cancel() {
    engineThread.accept(() -> end(FinishReason.CANCELLED, Optional.empty()));
  }

  @Override
  public void abandon() {
    engineThread.accept(
        () -> {
          if (!over) {
            over = true;
            ended.accept(this);
          }
        });
  }

  /** Asks the listener, before an iteration, whether this generation takes part in it. */
  void holdUnlessAccepted() {
    guarded(() -> sequence.hold(!listener.accepts()));
  }

  void scheduled(final long now) {
    if (firstScheduled < 0) {
      firstScheduled = now;
    }
  }

  void promptLogits(final float[] logits) {
    guarded(() -> listener.onPromptLogits(logits));
  }

  /** Takes the token that the sequence has just gained. */
  void accept(final int token, final long now) {
    if (over) {
      return;
    }
    if (firstToken < 0) {
      firstToken = now;
    } else {
      longestGap = Math.max(longestGap, now - lastToken);
    }
    lastToken = now;
    final int index = sequence.generated() - 1;
    final boolean eos = eosTokens.contains(token);
    String delta = eos ? "" : text.push(token);
    Optional<FinishReason> reason = Optional.empty();
    if (eos || text.stopped()) {
      reason = Optional.of(FinishReason.STOP);
    } else if (sequence.generated() == maxTokens) {
      reason = Optional.of(FinishReason.LENGTH);
    }
    if (reason.isPresent() && !text.stopped()) {
      delta += text.finish();
    }
    emit(index, new int[] {token}, delta, reason.map(r -> finish(r, Optional.empty(), now)));
  }

  /** Ends the generation without a further token. */
  void end(final FinishReason reason, final Optional<String> error) {
    if (!over) {
      final Finish finish = finish(reason, error, clock.getAsLong());
      emit(sequence.generated(), NO_TOKENS, text.finish(), Optional.of(finish));
    }
  }

  void fail(final EngineFailedException failure) {
    if (!over) {
      over = true;
      guarded(() -> listener.onEngineFailure(failure));
    }
  }

  private void emit(
      final int index, final int[] tokens, final String delta, final Optional<Finish> finish) {
    if (finish.isPresent()) {
      over = true;
      ended.accept(this);
    }
    guarded(() -> listener.onTokens(new TokenDelta(index, tokens, delta, Instant.now(), finish)));
  }

  /** A listener that throws loses its own generation, nobody else's. */
  private void guarded(final Runnable call) {
    try {
      call.run();
    } catch (final RuntimeException e) {
      LOG.error("listener of request {} failed; its generation is dropped", request.id(), e);
      if (!over) {
        over = true;
        ended.accept(this);
      }
    }
  }

  private Finish finish(final FinishReason reason, final Optional<String> error, final long now) {
    return new Finish(
        reason,
        error,
        new Finish.Usage(promptLength, sequence.generated(), 0),
        new Finish.Timing(
            span(firstScheduled), span(firstToken), span(now), Duration.ofNanos(longestGap)));
  }

  private Duration span(final long until) {
    return until < 0 ? Duration.ZERO : Duration.ofNanos(until - submitted);
  }
}
