package dev.sarathi.runtime;

import dev.sarathi.runtime.execute.Executor;
import dev.sarathi.runtime.execute.Limits;
import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.Slice;
import dev.sarathi.runtime.schedule.StepResult;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;

/** Samples what a script says, without a model. Its clock stands unless a test moves it. */
final class ScriptedExecutor implements Executor {
  static final int EOS = 2;
  static final int FAILS = -1;

  /** The token that follows; {@link #FAILS} fails the sequence, an exception the executor. */
  interface Script {
    int token(long sequence, int outputIndex);
  }

  private final int depth;
  private final Script script;
  private final Deque<Batch> inFlight = new ArrayDeque<>();
  final List<Batch> submitted = new CopyOnWriteArrayList<>();
  final AtomicLong clock = new AtomicLong();
  final CountDownLatch open = new CountDownLatch(1);
  volatile int fruitlessAwaits;
  volatile boolean closed;
  private int awaits;

  ScriptedExecutor(final int depth, final Script script) {
    this.depth = depth;
    this.script = script;
  }

  /** A model of a thousand tokens and a context of 256. */
  LoadedModel model() {
    return new LoadedModel(
        "scripted",
        "f",
        256,
        1_000,
        OptionalInt.empty(),
        Set.of(EOS),
        Optional.empty(),
        Optional.empty(),
        this);
  }

  @Override
  public Limits limits() {
    return new Limits(1_000, 16, depth, "scripted");
  }

  @Override
  public boolean accepts() {
    return inFlight.size() < depth;
  }

  @Override
  public void submit(final Batch batch) {
    inFlight.add(batch);
    submitted.add(batch);
  }

  /** Waits for {@link #open}, then gives every result after some awaits that came too early. */
  @Override
  public Optional<StepResult> await(final long deadline) {
    if (inFlight.isEmpty() || awaits++ % (fruitlessAwaits + 1) < fruitlessAwaits) {
      return Optional.empty();
    }
    try {
      open.await();
    } catch (final InterruptedException e) {
      throw new IllegalStateException(e);
    }
    final Batch batch = inFlight.remove();
    final List<StepResult.Sampled> sampled = new ArrayList<>();
    final List<StepResult.Failure> failures = new ArrayList<>();
    for (final Slice slice : batch.slices()) {
      if (slice.sampling().isPresent()) {
        final int index = slice.sampling().get().outputIndex();
        final int token = script.token(slice.sequence(), index);
        if (token == FAILS) {
          failures.add(new StepResult.Failure(slice.sequence(), "no number at " + index));
        } else {
          sampled.add(
              new StepResult.Sampled(
                  slice.sequence(),
                  token,
                  Optional.empty(),
                  Optional.of(new float[1])
                      .filter(l -> slice.sampling().get().rule().returnLogits())));
        }
      }
    }
    return Optional.of(new StepResult(batch.id(), now(), now(), sampled, List.of(), failures));
  }

  @Override
  public long now() {
    return clock.get();
  }

  @Override
  public void close() {
    closed = true;
  }
}
