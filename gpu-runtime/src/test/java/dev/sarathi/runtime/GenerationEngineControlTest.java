package dev.sarathi.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.sarathi.runtime.execute.ExecutorFailedException;
import dev.sarathi.runtime.schedule.Tenancy;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What an engine admits, when it is ready, and what can be seen of its work. */
@Timeout(value = 30, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class GenerationEngineControlTest {
  private static final ScriptedExecutor.Script COUNTS = (sequence, index) -> 100 + index;

  private final Queue<Iteration> iterations = new ConcurrentLinkedQueue<>();
  private ScriptedExecutor executor = new ScriptedExecutor(1, COUNTS);
  private GenerationEngine engine;

  @AfterEach
  void close() {
    executor.open.countDown();
    engine.close();
  }

  @Test
  void shouldRefuseMoreThanMayWait() throws Exception {
    // given: one runs, two wait
    start(config().withMaxSequences(1).withMaxWaiting(2));
    final List<CollectingListener> accepted = new ArrayList<>();
    accepted.add(submit("running", 20));
    await().until(() -> !executor.submitted.isEmpty());
    accepted.add(submit("first", 20));
    accepted.add(submit("second", 20));

    // then
    assertThatThrownBy(() -> submit("third", 20))
        .isInstanceOf(QueueFullException.class)
        .hasMessage(
            "2 generations are waiting, and no more than 2 may; submit again when some have"
                + " started, or start the engine with a larger max waiting");
    executor.open.countDown();
    for (final CollectingListener listener : accepted) {
      assertThat(listener.collected().tokens()).hasSize(20);
    }
    assertThat(submit("later", 20).collected().tokens()).hasSize(20);
  }

  @Test
  void shouldBeReadyWhenTheWarmUpIsOver() throws Exception {
    start(config().withWarmUp(Duration.ofMillis(200)));

    assertThat(engine.isReady()).isFalse();
    assertThat(engine.awaitReady(Duration.ofMillis(1))).isFalse();
    executor.open.countDown();
    assertThat(engine.awaitReady(Duration.ofSeconds(20))).isTrue();
    assertThat(engine.isReady()).isTrue();
  }

  @Test
  void shouldBeReadyWhenTheFirstRequestHasCome() throws Exception {
    start(config().withWarmUp(Duration.ofDays(1)));
    executor.open.countDown();

    submit("r", 20);

    assertThat(engine.awaitReady(Duration.ofSeconds(20))).isTrue();
  }

  @Test
  void shouldNeverBeReadyWhenTheWarmUpFails() throws Exception {
    executor =
        new ScriptedExecutor(
            1,
            (sequence, index) -> {
              throw new ExecutorFailedException("the device is gone", null);
            });
    start(config().withWarmUp(Duration.ofDays(1)));
    executor.open.countDown();

    assertThat(engine.awaitReady(Duration.ofSeconds(20))).isFalse();
    assertThat(engine.isReady()).isFalse();
  }

  @Test
  void shouldShowEveryIteration() throws Exception {
    // given
    start(config().withTokenBudget(16));
    final CollectingListener listener = new CollectingListener();
    engine.submit(
        GenerationRequest.of("r", new Prompt.Tokens(new int[20])).withMaxTokens(3), listener);

    // when
    executor.open.countDown();
    listener.collected();
    await().until(() -> iterations.size() == 4);

    // then
    assertThat(iterations)
        .extracting(Iteration::parts)
        .containsExactly(
            List.of(new Iteration.Part(0, "r", 0, true, 0, 16)),
            List.of(new Iteration.Part(0, "r", 0, true, 16, 4)),
            List.of(new Iteration.Part(0, "r", 0, false, 20, 1)),
            List.of(new Iteration.Part(0, "r", 0, false, 21, 1)));
    assertThat(iterations)
        .extracting(Iteration::ended)
        .containsExactly(List.of(), List.of(), List.of(), List.of(0L));
    assertThat(iterations).extracting(Iteration::usedBlocks).containsExactly(1, 2, 2, 2);
    assertThat(iterations).allMatch(i -> i.running() == 1 && i.waiting() == 0);
    assertThat(iterations).allMatch(i -> i.totalBlocks() == 1_000 && i.preempted().isEmpty());
  }

  @Test
  void shouldDropAnObserverThatThrows() throws Exception {
    // given
    final CountDownLatch called = new CountDownLatch(1);
    engine =
        new GenerationEngine(
            config(),
            executor.model(),
            Optional.of(
                iteration -> {
                  assertThat(called.getCount()).isOne();
                  called.countDown();
                  throw new IllegalStateException("thrown by the observer");
                }));
    executor.open.countDown();

    // then
    assertThat(submit("r", 20).collected().tokens()).hasSize(20);
    assertThat(called.getCount()).isZero();
    assertThat(engine.isHealthy()).isTrue();
  }

  @Test
  void shouldLetATenantRunNoMoreThanItsCap() throws Exception {
    // given
    start(config().withTenancy(Tenancy.EQUAL.withMaxRunning(1)));
    final List<CollectingListener> listeners = new ArrayList<>();
    for (final String tenant : List.of("a", "a", "a", "b")) {
      final CollectingListener listener = new CollectingListener();
      listeners.add(listener);
      engine.submit(request("r", 20).withTenant(tenant), listener);
    }

    // when
    executor.open.countDown();

    // then
    for (final CollectingListener listener : listeners) {
      assertThat(listener.collected().tokens()).hasSize(20);
    }
    assertThat(iterations).allMatch(iteration -> iteration.running() <= 2);
    assertThat(iterations).anyMatch(iteration -> iteration.running() == 2);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "stall-free",
        "prefill-first",
        "mixed",
        "decode-first",
        "chunked-only",
        "hybrid-only"
      })
  void shouldServeUnderEveryPolicy(final String policy) throws Exception {
    executor = new ScriptedExecutor(2, COUNTS);
    start(config().withPolicy(policy).withTokenBudget(16));
    executor.open.countDown();
    final List<CollectingListener> listeners = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      listeners.add(submit("r" + i, 5 + i));
    }

    for (int i = 0; i < 20; i++) {
      assertThat(listeners.get(i).collected().tokens()).hasSize(5 + i);
    }
  }

  private void start(final EngineConfig config) {
    engine = new GenerationEngine(config, executor.model(), Optional.of(iterations::add));
  }

  private static EngineConfig config() {
    return EngineConfig.of(Path.of("scripted")).withWarmUp(Duration.ZERO);
  }

  private static GenerationRequest request(final String id, final int maxTokens) {
    return GenerationRequest.of(id, new Prompt.Tokens(new int[] {7, 8, 9}))
        .withMaxTokens(maxTokens);
  }

  private CollectingListener submit(final String id, final int maxTokens) {
    final CollectingListener listener = new CollectingListener();
    engine.submit(request(id, maxTokens), listener);
    return listener;
  }
}
