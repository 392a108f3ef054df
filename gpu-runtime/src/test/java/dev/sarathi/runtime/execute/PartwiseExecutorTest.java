package dev.sarathi.runtime.execute;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sarathi.runtime.execute.cpu.Golden;
import dev.sarathi.runtime.model.Model;
import dev.sarathi.runtime.model.ModelConfig;
import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.Input;
import dev.sarathi.runtime.schedule.SamplingPlan;
import dev.sarathi.runtime.schedule.SamplingRule;
import dev.sarathi.runtime.schedule.Slice;
import dev.sarathi.runtime.schedule.StepResult;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class PartwiseExecutorTest {
  private static final SamplingRule PENALISED =
      SamplingRule.GREEDY.withPenalties(new SamplingRule.Penalties(2, 0, 0));

  private final List<String> events = new ArrayList<>();
  private final PartwiseExecutor executor = executor();

  /** A device that draws of each row the token after its own. */
  private final class Successor implements Forward {
    private final int[] tokens = new int[4];
    private final Readout readout = new Readout(4, 100);
    private Optional<Batch> running = Optional.empty();

    @Override
    public int[] tokens() {
      return tokens;
    }

    @Override
    public Readout readout() {
      return readout;
    }

    @Override
    public void run(final Batch batch) {
      events.add("run " + batch.id());
      if (batch.id() == 13) {
        throw new IllegalStateException("the device is gone");
      }
      readout.begin(batch.slices());
      running = Optional.of(batch);
    }

    @Override
    public void finish() {
      events.add("finish " + running.orElseThrow().id());
      final Sampler sampler = new Sampler(100);
      for (int i = 0; i < readout.rows(); i++) {
        final int[] successor = {tokens[readout.row(i)] + 1};
        readout.use(i, new Contenders(successor, new float[1]), sampler);
      }
    }

    @Override
    public void close() {
      events.add("close");
    }
  }

  private PartwiseExecutor executor() {
    final ModelConfig config;
    try (Model model = Model.open(Golden.LLAMA3)) {
      config = model.config();
    }
    return new PartwiseExecutor(config, new Limits(4, 16, 2, "fake"), 4, new Successor()) {};
  }

  private static Batch batch(final long id, final SamplingRule rule, final Input... inputs) {
    final List<Slice> slices = new ArrayList<>();
    for (final Input input : inputs) {
      final int count = input instanceof Input.Known(int[] ids) ? ids.length : 1;
      slices.add(
          new Slice(
              slices.size(),
              0,
              count,
              input,
              new int[] {0},
              Optional.of(SamplingPlan.first(rule)),
              Optional.empty()));
    }
    return new Batch(id, slices);
  }

  private static Input known(final int... ids) {
    return new Input.Known(ids);
  }

  private List<Integer> awaited() {
    return executor.await(Long.MAX_VALUE).orElseThrow().sampled().stream()
        .map(StepResult.Sampled::token)
        .toList();
  }

  @Test
  void shouldStartTheNextBatchBeforeItGivesAResult() {
    // given two batches, of which the second goes on with what the first draws
    executor.submit(batch(1, SamplingRule.GREEDY, known(7, 8), known(20)));
    assertThat(executor.accepts()).isTrue();
    executor.submit(
        batch(2, SamplingRule.GREEDY, new Input.FromBatch(1, 1), new Input.FromBatch(1, 0)));
    assertThat(executor.accepts()).isFalse();

    // when, then
    assertThat(awaited()).containsExactly(9, 21);
    assertThat(events).containsExactly("run 1", "finish 1", "run 2");
    assertThat(executor.accepts()).isTrue();
    executor.submit(batch(3, SamplingRule.GREEDY, new Input.FromBatch(2, 0)));
    assertThat(awaited()).containsExactly(22, 10);
    assertThat(awaited()).containsExactly(23);
    assertThat(events).endsWith("finish 2", "run 3", "finish 3");
    assertThat(executor.await(Long.MAX_VALUE)).isEmpty();
  }

  @Test
  void shouldComputeABatchInPartsAsManyRowsAsThereAreBuffersFor() {
    executor.submit(batch(1, SamplingRule.GREEDY, known(1, 2, 3), known(4, 5, 6), known(7)));
    executor.submit(batch(2, SamplingRule.GREEDY, new Input.FromBatch(1, 1)));
    assertThat(awaited()).containsExactly(4, 7, 8);
    assertThat(events).containsExactly("run 1", "finish 1", "run 1", "finish 1", "run 2");
    assertThat(awaited()).containsExactly(8);
  }

  @Test
  void shouldLetNoBatchFollowWhileOneDrawsWhatLaterChoicesDependOn() {
    executor.submit(batch(1, PENALISED, known(7)));
    assertThat(executor.accepts()).isFalse();
    executor.await(Long.MAX_VALUE);
    assertThat(executor.accepts()).isTrue();
  }

  @Test
  void shouldRefuseATokenOfABatchThatItDoesNotKnow() {
    executor.submit(batch(1, SamplingRule.GREEDY, known(7)));
    assertThatThrownBy(
            () -> executor.submit(batch(2, SamplingRule.GREEDY, new Input.FromBatch(1, 1))))
        .hasMessageContaining("row 1 of batch 1, which is not among the last");
  }

  @Test
  void shouldNameTheBatchThatBreaksIt() {
    executor.submit(batch(12, SamplingRule.GREEDY, known(7)));
    executor.submit(batch(13, SamplingRule.GREEDY, new Input.FromBatch(12, 0)));
    assertThatThrownBy(() -> executor.await(Long.MAX_VALUE))
        .isInstanceOf(ExecutorFailedException.class)
        .hasMessage("batch 13 failed")
        .hasRootCauseMessage("the device is gone");
    assertThat(executor.accepts()).isFalse();
  }
}
