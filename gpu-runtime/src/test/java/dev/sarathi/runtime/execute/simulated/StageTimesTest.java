package dev.sarathi.runtime.execute.simulated;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The measured times are those of Sarathi-Serve's artifact: Yi-34B on two A100. */
class StageTimesTest {
  /** What a decode of one sequence takes there beyond the GPUs' time: Python, Ray. */
  private static final double ARTIFACT_CPU = 17.4;

  private final Deployment yi = Deployment.named("yi-34b");

  @ParameterizedTest
  @CsvSource({"512, 105.6", "1024, 214.3", "2048, 366.0", "4096, 757.6", "8192, 1863.3"})
  void shouldPredictMeasuredPrefills(final int tokens, final double millis) {
    assertThat(new StageTimes(yi, 5).millis(chunk(tokens, 0), 0))
        .isCloseTo(millis, Percentage.withPercentage(8));
  }

  @ParameterizedTest
  @CsvSource({
    "2047, 512, 1.152", "2047, 1024, 1.175", "2047, 2048, 0.999",
    "4095, 512, 1.189", "4095, 1024, 1.202", "4095, 2048, 1.024",
    "8191, 512, 1.117", "8191, 1024, 1.109", "8191, 2048, 0.937",
    "16383, 512, 0.995", "16383, 1024, 0.961", "16383, 2048, 0.805"
  })
  void shouldPredictTheMeasuredOverheadOfChunks(
      final int prompt, final int chunk, final double overhead) {
    final StageTimes times = new StageTimes(yi, ARTIFACT_CPU);

    assertThat(prefill(times, prompt, chunk) / prefill(times, prompt, prompt))
        .isCloseTo(overhead, within(0.1));
  }

  @Test
  void shouldHardlyChargeForDecodesBesideAPrefill() {
    // given: measured are 217.2 ms without and 217.6 with three decodes, which alone take 68
    final StageTimes times = new StageTimes(yi, 5);
    final double alone = times.millis(chunk(1024, 0), 0);

    // when
    final double hybrid = times.millis(new Work(1024, 3, 3 * 1024, 1, 1021 * 1021, 0), 0);

    // then
    assertThat(hybrid / alone).isCloseTo(217.6 / 217.2, within(0.01));
    assertThat(hybrid - alone).isLessThan(0.1 * times.millis(decodes(3, 1024), 0));
  }

  @ParameterizedTest
  @CsvSource({"mistral-7b, 24.6", "yi-34b, 46.1", "llama-2-70b-a100, 26.2", "falcon-180b, 47.5"})
  void shouldAddUpAStage(final String name, final double millis) {
    assertThat(new StageTimes(Deployment.named(name), 0).millis(decodes(32, 4096), 1))
        .isCloseTo(millis, within(0.3));
  }

  @Test
  void shouldPassActivationsOnFromEveryStageButTheLast() {
    final StageTimes times = new StageTimes(Deployment.named("falcon-180b"), 5);

    assertThat(times.millis(chunk(512, 0), 0)).isGreaterThan(times.millis(chunk(512, 0), 1));
  }

  @ParameterizedTest
  @CsvSource({"4088, 4104", "8184, 8200"})
  void shouldGoOnSmoothlyBeyondWhatWasMeasured(final int below, final int above) {
    final StageTimes times = new StageTimes(Deployment.named("llama-2-70b-a100"), 0);

    assertThat(times.millis(chunk(above, 0), 1) / times.millis(chunk(below, 0), 1))
        .isBetween(1.0, 1.05);
    assertThat(times.millis(chunk(512, above), 1) / times.millis(chunk(512, below), 1))
        .isBetween(1.0, 1.05);
    assertThat(times.millis(decodes(8, above), 1) / times.millis(decodes(8, below), 1))
        .isBetween(1.0, 1.05);
  }

  private static double prefill(final StageTimes times, final int prompt, final int chunk) {
    double millis = 0;
    for (int start = 0; start < prompt; start += chunk) {
      millis += times.millis(chunk(Math.min(chunk, prompt - start), start), 0);
    }
    return millis;
  }

  private static Work chunk(final int tokens, final int start) {
    return new Work(tokens, 0, 0, 1, (long) tokens * tokens, Work.roundUp(start, Work.KV_STEP));
  }

  private static Work decodes(final int count, final int kvTokens) {
    return new Work(count, count, (long) count * kvTokens, 0, 0, 0);
  }
}
