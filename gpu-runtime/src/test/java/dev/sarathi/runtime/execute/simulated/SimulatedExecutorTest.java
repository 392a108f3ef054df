package dev.sarathi.runtime.execute.simulated;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.Input;
import dev.sarathi.runtime.schedule.SamplingPlan;
import dev.sarathi.runtime.schedule.SamplingRule;
import dev.sarathi.runtime.schedule.Slice;
import dev.sarathi.runtime.schedule.StepResult;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class SimulatedExecutorTest {
  private static final Deployment PIPELINE = Deployment.named("llama-2-70b-a100");

  private final SimulatedExecutor executor = new SimulatedExecutor(PIPELINE, 5);
  private final StageTimes times = new StageTimes(PIPELINE, 5);

  @Test
  void shouldTakeAsLongAsItsStages() {
    executor.submit(batch(0, 512));

    final StepResult result = executor.await(Long.MAX_VALUE).or(this::next).orElseThrow();

    assertThat(result.end()).isEqualTo(stage(512, 0) + stage(512, 1));
    assertThat(executor.now()).isEqualTo(result.end());
    assertThat(result.sampled()).extracting(StepResult.Sampled::sequence).containsExactly(0L);
  }

  private Optional<StepResult> next() {
    return executor.await(Long.MAX_VALUE);
  }

  @Test
  void shouldAcceptTheNextBatchWhenTheFirstStageIsIdle() {
    executor.submit(batch(0, 512));
    assertThat(executor.accepts()).isFalse();

    assertThat(executor.await(Long.MAX_VALUE)).isEmpty();
    assertThat(executor.now()).isEqualTo(stage(512, 0));
    assertThat(executor.accepts()).isTrue();
  }

  @Test
  void shouldLeaveABubbleWhereAShortBatchFollowsALongOne() {
    // given
    executor.submit(batch(0, 2048));
    executor.await(Long.MAX_VALUE);

    // when: the second stage is still at the long one
    executor.submit(batch(1, 128));

    // then
    assertThat(executor.await(Long.MAX_VALUE).orElseThrow().batch()).isZero();
    assertThat(executor.await(Long.MAX_VALUE).orElseThrow().end())
        .isEqualTo(stage(2048, 0) + stage(2048, 1) + stage(128, 1));
  }

  @Test
  void shouldHaveNoMoreBatchesInFlightThanStages() {
    executor.submit(batch(0, 2048));
    executor.await(Long.MAX_VALUE);
    executor.submit(batch(1, 128));
    executor.await(stage(2048, 0) + stage(128, 0) + 1);

    assertThat(executor.accepts()).isFalse();
    assertThatThrownBy(() -> executor.submit(batch(2, 128)))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("batch 2 was submitted with 2 in flight");
  }

  @Test
  void shouldLetTimePassUntilTheDeadline() {
    assertThat(executor.await(7)).isEmpty();
    assertThat(executor.now()).isEqualTo(7);

    executor.submit(batch(0, 512));
    assertThat(executor.await(9)).isEmpty();
    assertThat(executor.now()).isEqualTo(9);
    assertThat(executor.await(3)).isEmpty();
    assertThat(executor.now()).isEqualTo(9);
  }

  private long stage(final int tokens, final int stage) {
    return Math.round(times.millis(Work.of(batch(0, tokens)), stage) * 1e6);
  }

  private static Batch batch(final long id, final int tokens) {
    return new Batch(
        id,
        List.of(
            new Slice(
                id,
                0,
                tokens,
                new Input.Known(new int[tokens]),
                new int[0],
                Optional.of(SamplingPlan.first(SamplingRule.GREEDY)),
                Optional.empty())));
  }
}
