package dev.sarathi.runtime;

import static dev.sarathi.runtime.ScriptedExecutor.EOS;
import static dev.sarathi.runtime.ScriptedExecutor.FAILS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.sarathi.runtime.CollectingListener.Collected;
import dev.sarathi.runtime.execute.ExecutorFailedException;
import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.Slice;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The engine around an executor that does what a test wants. */
@Timeout(value = 30, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class EngineFaultsTest {
  private static final ScriptedExecutor.Script COUNTS = (sequence, index) -> 100 + index;

  private ScriptedExecutor executor;
  private GenerationEngine engine;

  @AfterEach
  void close() {
    executor.open.countDown();
    engine.close();
    assertThat(executor.closed).isTrue();
  }

  @Test
  void shouldTellEveryListenerWhenTheExecutorBreaksDown() {
    // given
    start(
        1,
        (sequence, index) -> {
          if (index == 5) {
            throw new ExecutorFailedException("the device is gone", null);
          }
          return 100 + index;
        });
    final List<CollectingListener> listeners =
        IntStream.range(0, 3).mapToObj(i -> submit("r" + i)).toList();

    // when
    executor.open.countDown();

    // then
    for (final CollectingListener listener : listeners) {
      assertThatThrownBy(listener::deltas)
          .isInstanceOf(ExecutionException.class)
          .hasCauseInstanceOf(EngineFailedException.class)
          .hasMessageContaining("the engine broke down: the device is gone");
    }
    assertThat(engine.isHealthy()).isFalse();
    assertThatThrownBy(() -> submit("late"))
        .isInstanceOf(EngineFailedException.class)
        .hasMessage("the engine broke down: the device is gone");
  }

  @Test
  void shouldTellTheOtherListenersWhenOneThrowsAtTheBreakdown() {
    // given
    start(
        1,
        (sequence, index) -> {
          throw new ExecutorFailedException("the device is gone", null);
        });
    for (int i = 0; i < 5; i++) {
      engine.submit(request("thrower"), new Thrower("failure"));
    }
    final CollectingListener other = submit("other");

    // when
    executor.open.countDown();

    // then
    assertThatThrownBy(other::deltas).hasCauseInstanceOf(EngineFailedException.class);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void shouldEndAFailedSequenceAloneInError(final int depth) throws Exception {
    // given
    start(depth, (sequence, index) -> sequence == 1 && index == 3 ? FAILS : 100 + index);
    final CollectingListener healthy = submit("healthy");
    final CollectingListener failing = submit("failing");

    // when
    executor.open.countDown();

    // then
    assertThat(failing.collected().tokens()).containsExactly(100, 101, 102);
    assertThat(failing.collected().finish().reason()).isEqualTo(FinishReason.ERROR);
    assertThat(failing.collected().finish().error()).contains("no number at 3");
    assertThat(healthy.collected().tokens()).hasSize(20);
    assertThat(engine.isHealthy()).isTrue();
  }

  @ParameterizedTest
  @ValueSource(strings = {"tokens", "accepts", "logits"})
  void shouldDropOnlyTheGenerationWhoseListenerThrows(final String where) throws Exception {
    // given
    start(1, COUNTS);
    final Thrower thrower = new Thrower(where);
    final CollectingListener before = submit("before");
    engine.submitWithLogits(request("thrower"), thrower);
    final CollectingListener after = submit("after");

    // when
    executor.open.countDown();

    // then
    assertThat(before.collected().tokens()).hasSize(20);
    assertThat(after.collected().tokens()).hasSize(20);
    assertThat(thrower.thrown).isEqualTo(1);
    assertThat(engine.isHealthy()).isTrue();
  }

  @Test
  void shouldCloseQuicklyAndCallNoListenerAfterwards() throws Exception {
    // given
    start(1, COUNTS);
    executor.open.countDown();
    final Queue<TokenDelta> heard = new ConcurrentLinkedQueue<>();
    final List<GenerationHandle> handles = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      handles.add(engine.submit(request("r" + i).withMaxTokens(250), listener(heard::add)));
    }
    await().until(() -> heard.size() > 10);

    // when
    final long start = System.nanoTime();
    engine.close();
    final int closed = heard.size();

    // then
    assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(2));
    handles.forEach(GenerationHandle::cancel);
    Thread.sleep(50);
    assertThat(heard).hasSize(closed);
    assertThat(engine.isHealthy()).isFalse();
    assertThatThrownBy(() -> submit("late")).hasMessage("the engine is closed");
  }

  @Test
  void shouldCloseWhenAListenerAsksForIt() {
    start(1, COUNTS);
    executor.open.countDown();

    engine.submit(request("closer"), listener(delta -> engine.close()));

    await().until(() -> executor.closed);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4})
  void shouldStopAtEosAndDropWhatWasComputedBeyondIt(final int depth) throws Exception {
    // given
    start(depth, (sequence, index) -> index == 3 ? EOS : 100 + index);
    final CollectingListener listener = submit("r");

    // when
    executor.open.countDown();

    // then
    final Collected collected = listener.collected();
    assertThat(collected.tokens()).containsExactly(100, 101, 102, EOS);
    assertThat(collected.finish().reason()).isEqualTo(FinishReason.STOP);
    assertThat(collected.finish().usage()).isEqualTo(new Finish.Usage(3, 4, 0));
    assertThat(executor.submitted).hasSize(4 + depth - 1);
    assertThat(run(request("next")).tokens()).hasSize(4);
  }

  @Test
  void shouldGoOnAfterAnEosThatTheRequestIgnores() throws Exception {
    start(2, (sequence, index) -> index % 4 == 3 ? EOS : 100 + index);
    executor.open.countDown();

    final Collected collected = run(request("r").withIgnoreEos(true));

    assertThat(collected.tokens()).hasSize(20).contains(EOS);
    assertThat(collected.finish().reason()).isEqualTo(FinishReason.LENGTH);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void shouldEndAThousandGenerationsFromEightThreads(final int depth) throws Exception {
    // given
    start(depth, (sequence, index) -> index == sequence % 20 ? EOS : 100 + index);
    executor.open.countDown();
    final Queue<CollectingListener> listeners = new ConcurrentLinkedQueue<>();

    // when
    try (ExecutorService threads = Executors.newFixedThreadPool(8)) {
      final List<Future<?>> submissions = new ArrayList<>();
      for (int t = 0; t < 8; t++) {
        submissions.add(
            threads.submit(
                () -> IntStream.range(0, 125).forEach(i -> listeners.add(submit("r" + i)))));
      }
      for (final Future<?> submission : submissions) {
        submission.get();
      }
    }

    // then
    assertThat(listeners).hasSize(1_000);
    for (final CollectingListener listener : listeners) {
      final Collected collected = listener.collected();
      assertThat(collected.tokens()).endsWith(EOS);
      assertThat(listener.deltas().stream().filter(d -> d.finish().isPresent())).hasSize(1);
    }
  }

  @Test
  void shouldAbandonWithoutAWord() throws Exception {
    // given
    start(1, COUNTS);
    final Queue<TokenDelta> heard = new ConcurrentLinkedQueue<>();
    final GenerationHandle handle = engine.submit(request("r"), listener(heard::add));

    // when
    handle.abandon();
    handle.abandon();
    handle.cancel();
    executor.open.countDown();

    // then
    assertThat(run(request("next")).tokens()).hasSize(20);
    assertThat(heard).allMatch(delta -> delta.finish().isEmpty()).hasSizeLessThanOrEqualTo(1);
  }

  @ParameterizedTest
  @EnumSource(Priority.class)
  void shouldServeBulkAfterInteractiveUntilItHasAged(final Priority expected) throws Exception {
    // given: one generation at a time, and one under way
    executor = new ScriptedExecutor(1, COUNTS);
    engine = new GenerationEngine(config().withMaxSequences(1), executor.model());
    submit("first");
    await().until(() -> !executor.submitted.isEmpty());

    // when: an interactive request comes just before the bulk request has aged, or just after
    final CollectingListener bulk = new CollectingListener();
    engine.submit(request("bulk").withPriority(Priority.BULK), bulk);
    executor.clock.set(Duration.ofSeconds(30).toNanos() + (expected == Priority.BULK ? 1 : -1));
    final CollectingListener interactive = submit("interactive");
    executor.open.countDown();
    bulk.collected();
    interactive.collected();

    // then
    final List<Long> order =
        executor.submitted.stream()
            .map(batch -> batch.slices().getFirst().sequence())
            .distinct()
            .toList();
    assertThat(order)
        .isEqualTo(expected == Priority.BULK ? List.of(0L, 1L, 2L) : List.of(0L, 2L, 1L));
  }

  @Test
  void shouldWarmUpUntilTheFirstRequestComes() throws Exception {
    // given
    startCold(Duration.ofSeconds(20));
    await().until(() -> executor.submitted.size() > 20);

    // when
    final Collected collected = run(request("r"));

    // then
    assertThat(collected.tokens()).hasSize(20);
    final List<Long> ids = executor.submitted.stream().map(Batch::id).toList();
    assertThat(ids.subList(ids.size() - 20, ids.size())).allMatch(id -> id >= 0);
    assertThat(ids.subList(0, ids.size() - 20)).allMatch(id -> id < 0);
  }

  @Test
  void shouldEndTheWarmUpInTime() throws Exception {
    startCold(Duration.ofMillis(20));
    Thread.sleep(300);
    final int batches = executor.submitted.size();
    Thread.sleep(100);

    assertThat(executor.submitted).hasSize(batches);
  }

  private void startCold(final Duration warmUp) {
    executor =
        new ScriptedExecutor(
            1,
            (sequence, index) -> {
              LockSupport.parkNanos(sequence < 0 ? 1_000_000 : 0);
              return 100;
            });
    executor.open.countDown();
    engine = new GenerationEngine(config().withWarmUp(warmUp), executor.model());
  }

  @Test
  void shouldNotSleepWhileABatchIsInFlight() throws Exception {
    // given: as from a device slower than the engine's patience
    start(1, COUNTS);
    executor.fruitlessAwaits = 1;
    executor.open.countDown();

    // when
    final long start = System.nanoTime();
    run(request("r").withMaxTokens(200));

    // then: 200 sleeps would take two seconds
    assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(1));
  }

  @Test
  void shouldRefuseEmittedTokensThatTheModelDoesNotHave() throws Exception {
    start(1, COUNTS);
    executor.open.countDown();

    assertThatThrownBy(
            () -> engine.resume(request("r"), emitted(5, 1_000), new CollectingListener()))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessage("emitted: 1000 is not a token of the model; valid is 0 to 999");
    assertThatThrownBy(
            () -> engine.resume(request("r"), emitted(new int[20]), new CollectingListener()))
        .hasMessage("max_tokens: 20, with 20 tokens emitted before");
  }

  @Test
  void shouldNotScheduleAGenerationBeyondWhatItsRequestWants() throws Exception {
    start(4, COUNTS);
    executor.open.countDown();

    run(request("r").withMaxTokens(7));

    assertThat(
            executor.submitted.stream()
                .flatMap(batch -> batch.slices().stream())
                .filter(slice -> slice.sampling().isPresent())
                .mapToInt(Slice::end))
        .containsExactly(3, 4, 5, 6, 7, 8, 9);
  }

  /** Nothing is computed before the executor is opened. */
  private void start(final int depth, final ScriptedExecutor.Script script) {
    executor = new ScriptedExecutor(depth, script);
    engine = new GenerationEngine(config(), executor.model());
  }

  private static EngineConfig config() {
    return EngineConfig.of(Path.of("scripted")).withWarmUp(Duration.ZERO);
  }

  private static GenerationRequest request(final String id) {
    return GenerationRequest.of(id, new Prompt.Tokens(new int[] {7, 8, 9})).withMaxTokens(20);
  }

  private CollectingListener submit(final String id) {
    final CollectingListener listener = new CollectingListener();
    engine.submit(request(id), listener);
    return listener;
  }

  private Collected run(final GenerationRequest request) throws Exception {
    final CollectingListener listener = new CollectingListener();
    engine.submit(request, listener);
    return listener.collected();
  }

  private static List<EmittedChoice> emitted(final int... tokens) {
    return List.of(new EmittedChoice(tokens, false));
  }

  private static TokenListener listener(final Consumer<TokenDelta> tokens) {
    return new TokenListener() {
      @Override
      public void onTokens(final TokenDelta delta) {
        tokens.accept(delta);
      }

      @Override
      public void onEngineFailure(final EngineFailedException failure) {}
    };
  }

  /** Throws where it is told to. */
  private static final class Thrower implements TokenListener {
    private final String where;
    private volatile int thrown;

    private Thrower(final String where) {
      this.where = where;
    }

    @Override
    public void onTokens(final TokenDelta delta) {
      throwIf("tokens");
    }

    @Override
    public void onEngineFailure(final EngineFailedException failure) {
      throwIf("failure");
    }

    @Override
    public boolean accepts() {
      throwIf("accepts");
      return true;
    }

    @Override
    public void onLogits(final int index, final float[] logits) {
      throwIf("logits");
    }

    private void throwIf(final String here) {
      if (here.equals(where)) {
        thrown++;
        throw new IllegalStateException("thrown by " + where);
      }
    }
  }
}
