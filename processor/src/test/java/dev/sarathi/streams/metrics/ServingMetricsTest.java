package dev.sarathi.streams.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.EngineFailedException;
import dev.sarathi.runtime.Finish;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.ServingObserver;
import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.runtime.TokenListener;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** The meters over a real engine. */
class ServingMetricsTest {
  private static final Path MODEL = Path.of("../models/storyteller");
  private static final int TOKENS = 20;

  @Test
  void shouldCountEveryTokenOnceAndBeDroppedAloneWhenOneFails() throws Exception {
    // given
    try (GenerationEngine engine = GenerationEngine.start(EngineConfig.of(MODEL).withThreads(1))) {
      engine.observe(
          new ServingObserver() {
            @Override
            public void onFirstToken(final long nanos) {
              throw new IllegalStateException("provoked");
            }
          });
      final ApplicationMetrics metrics = new ApplicationMetrics(engine, Duration.ofNanos(1));

      // when
      final CountDownLatch over = new CountDownLatch(1);
      engine.submit(
          GenerationRequest.of("story", "Once upon a time")
              .withMaxTokens(TOKENS)
              .withIgnoreEos(true),
          new TokenListener() {
            @Override
            public void onTokens(final TokenDelta delta) {
              if (delta.last()) {
                over.countDown();
              }
            }

            @Override
            public void onEngineFailure(final EngineFailedException failure) {}
          });
      assertThat(over.await(60, TimeUnit.SECONDS)).isTrue();

      // then
      assertThat(timer(metrics, Metric.TIME_TO_FIRST_TOKEN)).isEqualTo(1);
      assertThat(timer(metrics, Metric.INTER_TOKEN_LATENCY)).isEqualTo(TOKENS - 1);
      assertThat(timer(metrics, Metric.E2E_REQUEST_LATENCY)).isEqualTo(1);
      assertThat(timer(metrics, Metric.REQUEST_LONGEST_GAP)).isEqualTo(1);
      assertThat(metrics.registry().get(Metric.DECODE_STALLS.meterName()).counter().count())
          .as("each gap is longer than a nanosecond")
          .isEqualTo(TOKENS - 1);
      final String scraped = metrics.scrape();
      assertThat(scraped)
          .contains("sarathi_generation_tokens_total{model_name=\"storyteller\"} 20.0")
          .contains("sarathi_engine_healthy{model_name=\"storyteller\"} 1.0")
          .contains("sarathi_inter_token_latency_seconds_bucket{model_name=\"storyteller\",le=");
      assertThat(Arrays.stream(Metric.values()).filter(metric -> !isOfStreams(metric)))
          .allSatisfy(
              metric ->
                  assertThat(scraped)
                      .contains(
                          "# TYPE "
                              + metric.prometheusName()
                              + " "
                              + metric.type().name().toLowerCase(java.util.Locale.ROOT)));
    }
  }

  @Test
  void shouldTakeWhatTheProcessorTells() {
    try (GenerationEngine engine = GenerationEngine.start(EngineConfig.of(MODEL).withThreads(1))) {
      final ApplicationMetrics metrics = new ApplicationMetrics(engine, Duration.ofMillis(200));

      metrics.serving().onCommitted(4_000_000);
      metrics.serving().onEnd(Duration.ofSeconds(3));
      metrics
          .serving()
          .onFinish(
              Finish.withoutTokens(
                  dev.sarathi.runtime.FinishReason.CANCELLED, java.util.Optional.empty()));

      assertThat(metrics.scrape())
          .contains(
              "sarathi_emission_to_commit_seconds_bucket{model_name=\"storyteller\",le=\"0.001\"}"
                  + " 0\n")
          .contains(
              "sarathi_emission_to_commit_seconds_bucket{model_name=\"storyteller\",le=\"0.005\"}"
                  + " 1\n")
          .contains("sarathi_prompt_to_completion_seconds_count{model_name=\"storyteller\"} 1\n")
          .contains("sarathi_request_longest_gap_seconds_count{model_name=\"storyteller\"} 0\n");
    }
  }

  private static boolean isOfStreams(final Metric metric) {
    return metric == Metric.STREAMS_RUNNING || !metric.labels().isEmpty();
  }

  private static long timer(final ApplicationMetrics metrics, final Metric metric) {
    return metrics.registry().get(metric.meterName()).timer().count();
  }
}
