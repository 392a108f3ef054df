package dev.sarathi.runtime.benchmark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.benchmark.EngineBenchmark.Serving;
import dev.sarathi.runtime.benchmark.EngineBenchmark.Throughput;
import dev.sarathi.runtime.schedule.TokenBudget;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.IntStream;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EngineBenchmarkTest {
  private static final TokenBudget BUDGET = TokenBudget.of(64);

  @TempDir private static Path cache;
  private static EngineBenchmark benchmark;

  @BeforeAll
  static void writeTheModel() throws Exception {
    benchmark =
        new EngineBenchmark(
            EngineConfig.of(SyntheticModel.in(cache, Shape.named("storyteller")))
                .withThreads(2)
                .withWarmUp(Duration.ZERO));
  }

  @Test
  void shouldMeasurePrefillAndEveryBatchSize() throws Exception {
    final Throughput throughput = benchmark.throughput(100, new int[] {1, 3}, 6, 2);

    assertThat(throughput.startSeconds()).isPositive();
    assertThat(throughput.kernels()).startsWith("cpu-");
    assertThat(throughput.prefill().rounds()).hasSize(2).allMatch(speed -> speed > 0);
    assertThat(throughput.decode())
        .extracting(EngineBenchmark.Speed::sequences)
        .containsExactly(1, 3);
    assertThat(throughput.decode())
        .allSatisfy(speed -> assertThat(speed.rounds()).contains(speed.tokensPerSecond()));
  }

  @Test
  void shouldServeTheLoadUnderAPolicy() throws Exception {
    final ServingLoad load = ServingLoad.poisson(7, 200, 600, 8);

    final Serving serving = benchmark.serve(load, "stall-free", BUDGET);

    assertThat(serving.policy()).isEqualTo("stall-free");
    assertThat(serving.tokenBudget()).isEqualTo("64");
    assertThat(serving.seconds()).isGreaterThan(load.arrivals().getLast().at());
    assertThat(serving.tokensPerSecond()).isCloseTo(7 * 8 / serving.seconds(), byHalfPercent());
    assertThat(serving.p50Ttft()).isPositive().isLessThanOrEqualTo(serving.p99Ttft());
    assertThat(serving.p50Tbt()).isPositive().isLessThanOrEqualTo(serving.p99Tbt());
    assertThat(serving.p99Tbt()).isLessThanOrEqualTo(serving.longestStall());
  }

  private static Percentage byHalfPercent() {
    return Percentage.withPercentage(0.5);
  }

  @Test
  void shouldRefuseASequenceThatTheModelHasNoRoomFor() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> benchmark.throughput(8_192, new int[] {1}, 4, 1))
        .withMessage("a sequence would have 8193 tokens; valid for this model is at most 8192");
  }

  @Test
  void shouldDrawTheSameLoadForTheSameNumbers() {
    final ServingLoad load = ServingLoad.poisson(20, 2, 4_096, 64);

    assertThat(load).isEqualTo(ServingLoad.poisson(20, 2, 4_096, 64));
    assertThat(load.arrivals().getFirst().at()).isZero();
    assertThat(load.arrivals()).extracting(ServingLoad.Arrival::at).isSorted();
    assertThat(load.arrivals().getLast().at()).isBetween(3.0, 30.0);
  }

  @Test
  void shouldMakeEverySixthPromptLong() {
    final List<Integer> prompts =
        ServingLoad.poisson(12, 1, 4_096, 64).arrivals().stream()
            .map(ServingLoad.Arrival::prompt)
            .toList();

    assertThat(IntStream.range(0, 12).filter(i -> prompts.get(i) == 4_096)).containsExactly(3, 9);
    assertThat(prompts).filteredOn(prompt -> prompt != 4_096).allMatch(p -> p >= 64 && p <= 256);
    assertThat(ServingLoad.meanPrompt(12, 4_096))
        .isEqualTo(prompts.stream().mapToInt(p -> p).average().orElseThrow());
  }

  @Test
  void shouldTakeTheSmallestValueThatSoManyDoNotExceed() {
    final List<Double> values = IntStream.rangeClosed(1, 200).mapToObj(i -> (double) i).toList();

    assertThat(EngineBenchmark.percentile(values, 50)).isEqualTo(100);
    assertThat(EngineBenchmark.percentile(values, 99)).isEqualTo(198);
    assertThat(EngineBenchmark.percentile(values, 100)).isEqualTo(200);
    assertThat(EngineBenchmark.percentile(List.of(7.0), 1)).isEqualTo(7);
  }
}
