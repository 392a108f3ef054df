package dev.sarathi.runtime.capacity;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.execute.simulated.Deployment;
import java.io.IOException;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

class MixedLoadTest {

  @Tag("long")
  @Test
  void shouldLeaveMoreRoomForBulkOnTheSameInstances() throws IOException {
    // given
    final Workload bursts =
        Workload.named("openchat_sharegpt4").first(512).arriving(new Arrivals(4, 0));

    // when
    final MixedLoad load = MixedLoad.of(Deployment.named("mistral-7b"), 8, 0.1, 2, bursts);

    // then
    assertThat(load.qps()).isPositive();
    assertThat(load.apart().p99Ttft()).isLessThanOrEqualTo(2);
    assertThat(load.together().p99Ttft()).isLessThanOrEqualTo(2);
    assertThat(load.together().p99Tbt()).isLessThanOrEqualTo(0.1);
    assertThat(load.gain()).isGreaterThan(1.2);
  }

  @Test
  void shouldKeepTheTimeBetweenInteractiveTokensBesideBulk() throws IOException {
    final Workload few =
        Workload.named("openchat_sharegpt4").first(64).arriving(new Arrivals(4, 0));

    final MixedLoad load = MixedLoad.of(Deployment.named("mistral-7b"), 2, 0.1, 2, few);

    assertThat(load.together().p99Tbt()).isPositive().isLessThan(0.11);
    assertThat(load.together().bulkTokens()).isGreaterThan(load.apart().bulkTokens());
  }
}
