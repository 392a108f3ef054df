package dev.sarathi.runtime.capacity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sarathi.runtime.execute.simulated.Deployment;
import java.io.IOException;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

class AdviceTest {
  private final Workload few = Workload.named("openchat_sharegpt4").first(96);

  AdviceTest() throws IOException {}

  @Test
  void shouldRecommendWhatBearsMostAndSayWhy() {
    final Advice advice = Advice.of(Deployment.named("yi-34b"), 8, 0.2, few, OptionalDouble.of(3));

    assertThat(advice.policy()).isEqualTo("stall-free");
    assertThat(advice.instances() * advice.qps()).isGreaterThan(3);
    assertThat(advice.gpus()).isEqualTo(2 * advice.instances());
    assertThat(advice.reasons()).anyMatch(reason -> reason.contains("prefill-first"));
  }

  @Test
  void shouldAskForMoreRequestsWhereTheseSayNothing() {
    assertThatThrownBy(
            () ->
                Advice.of(Deployment.named("yi-34b"), 2, 10, few.first(4), OptionalDouble.empty()))
        .hasMessageContaining("4 requests are borne at any rate")
        .hasMessageContaining("--requests");
  }

  @Test
  void shouldRefuseFewerGpusThanOneInstanceHas() {
    assertThatThrownBy(
            () -> Advice.of(Deployment.named("yi-34b"), 1, 0.2, few, OptionalDouble.empty()))
        .hasMessageContaining("1 GPUs; one instance of Yi-34B");
  }
}
