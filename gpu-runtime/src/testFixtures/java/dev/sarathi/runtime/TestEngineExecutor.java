package dev.sarathi.runtime;

import dev.sarathi.runtime.execute.Executor;
import dev.sarathi.runtime.execute.ExecutorFailedException;
import dev.sarathi.runtime.execute.Limits;
import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.Input;
import dev.sarathi.runtime.schedule.Logprobs;
import dev.sarathi.runtime.schedule.PromptScoring;
import dev.sarathi.runtime.schedule.SamplingPlan;
import dev.sarathi.runtime.schedule.SamplingRule;
import dev.sarathi.runtime.schedule.Slice;
import dev.sarathi.runtime.schedule.StepResult;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;

/**
 * Samples what a script says. Its KV cache holds the tokens themselves, by which it finds the
 * prompt of a sequence again however its positions were cut, shared or computed anew.
 *
 * <p>Threading: the engine thread executes. Others permit iterations and wait for rest; what both
 * need is guarded by this object's monitor.
 */
final class TestEngineExecutor implements Executor {
  static final int WITHOUT_END = Integer.MAX_VALUE;
  static final int KV_BLOCKS = 1 << 16;
  static final int BLOCK_TOKENS = 16;
  static final int CONTEXT = 1 << 15;

  /** The tokens are the 256 bytes, and this one. */
  static final int END = 256;

  /** A wake-up may be lost to a thread that is not parked yet. */
  private static final long WAKE_AGAIN_MILLIS = 2;

  /** The answer to a sequence's prompt, or why there is none. */
  private record Answer(byte[] bytes, Optional<String> error) {

    private int token(final int index) {
      return index < bytes.length ? Byte.toUnsignedInt(bytes[index]) : END;
    }

    /** Why the next token cannot be given. */
    private Optional<String> refusal(final SamplingPlan plan) {
      final int token = token(plan.outputIndex());
      return error.isPresent()
              || plan.allowed().map(BitSet::valueOf).filter(b -> !b.get(token)).isEmpty()
          ? error
          : Optional.of(
              "the script answers \"%s\", which the request's constraint does not allow"
                  .formatted(new String(bytes, StandardCharsets.UTF_8)));
    }
  }

  private final Function<String, String> script;
  private final int[] cache = new int[KV_BLOCKS * BLOCK_TOKENS];
  private final Map<Long, Answer> answers = new HashMap<>();
  private Optional<Batch> inFlight = Optional.empty();
  private int permits = WITHOUT_END;
  private long rests;
  private Optional<String> crash = Optional.empty();

  TestEngineExecutor(final Function<String, String> script) {
    this.script = script;
  }

  // ---- of other threads

  synchronized void permit(final int iterations) {
    permits = iterations;
  }

  synchronized void crash(final String reason) {
    crash = Optional.of(reason);
  }

  /** Returns when all is done that was there to do, or the engine thread has ended. */
  void awaitRest(final Thread engine) {
    LockSupport.unpark(engine);
    if (Thread.currentThread() != engine) {
      awaitRests(engine);
    }
  }

  /** One iteration may have begun before its caller left something to do; the next has not. */
  private synchronized void awaitRests(final Thread engine) {
    final long enough = rests + 2;
    boolean interrupted = false;
    while (rests < enough && engine.isAlive()) {
      LockSupport.unpark(engine);
      try {
        wait(WAKE_AGAIN_MILLIS);
      } catch (final InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  // ---- of the engine thread

  @Override
  public Limits limits() {
    return new Limits(KV_BLOCKS, BLOCK_TOKENS, 1, "test-engine");
  }

  @Override
  public synchronized boolean accepts() {
    crash.ifPresent(
        reason -> {
          throw new ExecutorFailedException(reason, null);
        });
    return inFlight.isEmpty() && permits > 0;
  }

  @Override
  public synchronized void submit(final Batch batch) {
    inFlight = Optional.of(batch);
    if (permits != WITHOUT_END) {
      permits--;
    }
  }

  @Override
  public Optional<StepResult> await(final long deadline) {
    final Optional<StepResult> result = inFlight.map(this::execute);
    if (result.isEmpty()) {
      rest();
    }
    inFlight = Optional.empty();
    return result;
  }

  private synchronized void rest() {
    rests++;
    notifyAll();
  }

  private StepResult execute(final Batch batch) {
    final List<StepResult.Sampled> sampled = new ArrayList<>();
    final List<StepResult.Scored> scored = new ArrayList<>();
    final List<StepResult.Failure> failures = new ArrayList<>();
    for (final Slice slice : batch.slices()) {
      remember(slice);
      slice.scoring().ifPresent(scoring -> scored.add(score(slice, scoring)));
      if (slice.sampling().isPresent()) {
        final Answer answer = answers.computeIfAbsent(slice.sequence(), _ -> answer(slice));
        answer
            .refusal(slice.sampling().get())
            .ifPresentOrElse(
                error -> failures.add(new StepResult.Failure(slice.sequence(), error)),
                () -> sampled.add(sample(slice, answer)));
      }
    }
    return new StepResult(batch.id(), now(), now(), sampled, scored, failures);
  }

  private void remember(final Slice slice) {
    final int[] ids = ((Input.Known) slice.input()).ids();
    for (int i = 0; i < slice.count(); i++) {
      cache[place(slice, slice.start() + i)] = ids[i];
    }
  }

  private static int place(final Slice slice, final int position) {
    return slice.blocks()[position / BLOCK_TOKENS] * BLOCK_TOKENS + position % BLOCK_TOKENS;
  }

  private Answer answer(final Slice slice) {
    final byte[] prompt = new byte[slice.end() - slice.sampling().orElseThrow().outputIndex()];
    for (int i = 0; i < prompt.length; i++) {
      prompt[i] = (byte) cache[place(slice, i)];
    }
    try {
      final String answer = script.apply(new String(prompt, StandardCharsets.UTF_8));
      return new Answer(answer.getBytes(StandardCharsets.UTF_8), Optional.empty());
    } catch (final RuntimeException e) {
      return new Answer(
          new byte[0], Optional.of(Optional.ofNullable(e.getMessage()).orElseGet(e::toString)));
    }
  }

  private static StepResult.Sampled sample(final Slice slice, final Answer answer) {
    final SamplingPlan plan = slice.sampling().orElseThrow();
    final int token = answer.token(plan.outputIndex());
    final int top = plan.rule().logprobs();
    return new StepResult.Sampled(
        slice.sequence(),
        token,
        top == SamplingRule.NO_LOGPROBS ? Optional.empty() : Optional.of(certain(token, top)),
        Optional.empty());
  }

  private static StepResult.Scored score(final Slice slice, final PromptScoring scoring) {
    return new StepResult.Scored(
        slice.sequence(),
        slice.start(),
        Arrays.stream(scoring.targets())
            .mapToObj(target -> certain(target, scoring.top()))
            .toList());
  }

  /** A script has no doubts. */
  private static Logprobs certain(final int token, final int top) {
    return top == 0
        ? new Logprobs(token, 0, new int[0], new float[0])
        : new Logprobs(token, 0, new int[] {token}, new float[] {0});
  }

  /** The clock stands. */
  @Override
  public long now() {
    return 0;
  }

  @Override
  public void close() {}
}
