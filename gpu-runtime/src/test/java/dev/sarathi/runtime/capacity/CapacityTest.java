package dev.sarathi.runtime.capacity;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.execute.simulated.Deployment;
import dev.sarathi.runtime.schedule.Overlap;
import dev.sarathi.runtime.schedule.Policy;
import dev.sarathi.runtime.schedule.TokenBudget;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CapacityTest {
  private final Workload sharegpt = Workload.named("openchat_sharegpt4");

  CapacityTest() throws IOException {}

  /** The rates come from an independent calculation from the same times and the same requests. */
  @ParameterizedTest
  @CsvSource({
    "yi-34b, stall-free, 1.28",
    "yi-34b, mixed, 0.35",
    "falcon-180b, stall-free, 0.70",
  })
  void shouldAgreeWithAnIndependentCalculation(
      final String model, final String policy, final double expected) {
    assertThat(strict(model, Policy.named(policy), sharegpt).qps())
        .isCloseTo(expected, Percentage.withPercentage(8));
  }

  @Tag("long")
  @ParameterizedTest
  @CsvSource({
    "yi-34b, stall-free, 1.28",
    "yi-34b, prefill-first, 0.37",
    "yi-34b, mixed, 0.35",
    "llama-2-70b-a100, stall-free, 1.41",
    "llama-2-70b-a100, prefill-first, 0.41",
    "llama-2-70b-a100, mixed, 0.24",
    "falcon-180b, stall-free, 0.70",
    "falcon-180b, prefill-first, 0.16",
    "falcon-180b, mixed, 0.13",
  })
  void shouldAgreeEverywhereUnderTheStrictSlo(
      final String model, final String policy, final double expected) {
    assertThat(strict(model, Policy.named(policy), sharegpt).qps())
        .isCloseTo(expected, Percentage.withPercentage(8));
  }

  @Tag("long")
  @ParameterizedTest
  @CsvSource({"stall-free, 1.14", "prefill-first, 0.94", "mixed, 0.24"})
  void shouldAgreeUnderTheRelaxedSlo(final String policy, final double expected) {
    final Deployment llama = Deployment.named("llama-2-70b-a100");

    final Capacity capacity =
        Capacity.of(
            Scenario.of(llama, Policy.named(policy), llama.targets().relaxedBudget(), sharegpt),
            Slo.ofTbt(llama.targets().relaxedTbt()));

    assertThat(capacity.qps()).isCloseTo(expected, Percentage.withPercentage(8));
  }

  @Test
  void shouldKeepTheSloAndBreakItAtAHigherRate() {
    // given
    final Workload few = sharegpt.first(256);
    final Deployment yi = Deployment.named("yi-34b");
    final Scenario scenario = Scenario.of(yi, Policy.PREFILL_FIRST, 512, few);
    final Slo slo = Slo.ofTbt(yi.targets().strictTbt());

    // when
    final Capacity capacity = Capacity.of(scenario, slo);

    // then
    assertThat(capacity.p99Tbt()).isPositive().isLessThanOrEqualTo(slo.p99Tbt());
    assertThat(capacity.medianDelay()).isLessThanOrEqualTo(slo.medianDelay());
    assertThat(capacity.bound()).isEqualTo("tbt");
    assertThat(new Replay(scenario, capacity.qps() * 1.026).run(slo)).isEqualTo(Replay.Bound.TBT);
  }

  @Test
  void shouldGiveTheSameToTheLastDigit() {
    final Workload few = sharegpt.first(256).arriving(new Arrivals(4, 11));

    assertThat(strict("falcon-180b", Policy.STALL_FREE, few))
        .isEqualTo(strict("falcon-180b", Policy.STALL_FREE, few));
  }

  @Test
  void shouldGiveTheSameToTheLastDigitWithABudgetThatChoosesItself() {
    final Workload few = sharegpt.first(256).arriving(new Arrivals(4, 11));
    final Deployment falcon = Deployment.named("falcon-180b");
    final Scenario scenario =
        Scenario.of(falcon, Policy.STALL_FREE, 512, few)
            .withOverlap(Overlap.CHUNKS)
            .withTokenBudget(new TokenBudget.Adaptive(Duration.ofSeconds(1)));

    assertThat(Capacity.of(scenario, Slo.ofTbt(1))).isEqualTo(Capacity.of(scenario, Slo.ofTbt(1)));
  }

  @Test
  void shouldPrefillSoonerWithSeveralChunksOfAPromptInAPipeline() {
    final Workload one = new Workload("one", 8_192, List.of(new Workload.Request(1, 4_096, 1)));
    final Scenario serial =
        Scenario.of(Deployment.named("falcon-180b"), Policy.STALL_FREE, 512, one);

    assertThat(ttft(serial.withOverlap(Overlap.CHUNKS))).isLessThan(0.6 * ttft(serial));
  }

  private static double ttft(final Scenario scenario) {
    final Replay replay = new Replay(scenario, 1);
    replay.run(new Slo(1e6, 1e6));
    return replay.medianTtft();
  }

  @ParameterizedTest
  @CsvSource({"stall-free", "prefill-first", "mixed", "decode-first", "chunked-only"})
  void shouldBringEveryRequestToItsEnd(final String policy) {
    final Scenario scenario =
        Scenario.of(
            Deployment.named("llama-2-70b-a40"), Policy.named(policy), 512, sharegpt.first(64));

    assertThat(new Replay(scenario, 5).run(new Slo(1e6, 1e6))).isEqualTo(Replay.Bound.NONE);
  }

  @Test
  void shouldEndWhereFewRequestsAreBorneAtAnyRate() {
    final Scenario scenario =
        Scenario.of(Deployment.named("yi-34b"), Policy.STALL_FREE, 512, sharegpt.first(2));

    assertThat(Capacity.of(scenario, Slo.ofTbt(1)).bound()).isEqualTo("none");
  }

  @Test
  void shouldFindNothingWhereOneTokenTakesLongerThanTheSlo() {
    final Scenario scenario =
        Scenario.of(Deployment.named("yi-34b"), Policy.STALL_FREE, 512, sharegpt.first(16));

    assertThat(Capacity.of(scenario, Slo.ofTbt(0.001))).isEqualTo(new Capacity(0, 0, 0, 0, "tbt"));
  }

  private static Capacity strict(final String model, final Policy policy, final Workload workload) {
    final Deployment deployment = Deployment.named(model);
    final Deployment.Targets targets = deployment.targets();
    return Capacity.of(
        Scenario.of(deployment, policy, targets.strictBudget(), workload),
        Slo.ofTbt(targets.strictTbt()));
  }
}
