package dev.sarathi.connect;

import dev.sarathi.schemas.Completion;
import java.io.IOException;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collection;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.errors.RetriableException;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.sink.SinkTask;

/**
 * Posts completions one after the other, in the order of their partition.
 *
 * <p>A failed attempt gives the thread back to the worker, which puts the same records again after
 * the backoff: a task that waits stays in its group. What was posted of them meanwhile is not
 * posted again.
 *
 * <p>Threading: all on the task's thread.
 */
public final class WebhookSinkTask extends SinkTask {
  private static final int TOO_MANY_REQUESTS = 429;
  private static final int REQUEST_TIMEOUT = 408;

  private WebhookSinkConfig config;
  private HttpClient http;
  private int done; // of the records that the worker puts again
  private int attempts; // of the one after them

  @Override
  public void start(final Map<String, String> properties) {
    config = new WebhookSinkConfig(properties);
    http =
        HttpClient.newBuilder()
            .connectTimeout(Duration.ofMillis(config.getLong(WebhookSinkConfig.TIMEOUT_MS)))
            .build();
  }

  @Override
  public void put(final Collection<SinkRecord> records) {
    int index = 0;
    for (final SinkRecord record : records) {
      if (index++ >= done) {
        post(record);
        done = index;
        attempts = 0;
      }
    }
    done = 0;
  }

  private void post(final SinkRecord record) {
    final HttpRequest request;
    try {
      final Completion completion =
          (Completion) ContractData.toAvro(Completion.getClassSchema(), record.value());
      request = request(completion);
    } catch (final DataException e) {
      ErrantRecords.reject(context, record, e);
      return;
    }
    attempts++;
    final Optional<Failure> failure = send(request);
    if (failure.isEmpty()) {
      return;
    }
    final String reason =
        "%s: %s after %d attempts"
            .formatted(config.getString(WebhookSinkConfig.URL), failure.get().reason(), attempts);
    if (failure.get().lasting() || attempts >= config.getInt(WebhookSinkConfig.MAX_ATTEMPTS)) {
      ErrantRecords.reject(context, record, new ConnectException(reason));
      return;
    }
    context.timeout(backoff());
    throw new RetriableException(reason);
  }

  private HttpRequest request(final Completion completion) {
    final HttpRequest.Builder request =
        HttpRequest.newBuilder(config.url())
            .timeout(Duration.ofMillis(config.getLong(WebhookSinkConfig.TIMEOUT_MS)))
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", idempotencyKey(completion.getRequestId()))
            .POST(HttpRequest.BodyPublishers.ofString(completion.toString()));
    final String authorization = config.getPassword(WebhookSinkConfig.AUTHORIZATION).value();
    if (!authorization.isEmpty()) {
      request.header("Authorization", authorization);
    }
    return request.build();
  }

  // A header holds printable ASCII; an id may be any text.
  private static String idempotencyKey(final String id) {
    return URLEncoder.encode(id, StandardCharsets.UTF_8);
  }

  /**
   * @param lasting whether another attempt would fail alike
   */
  private record Failure(String reason, boolean lasting) {}

  private Optional<Failure> send(final HttpRequest request) {
    try {
      final int status = http.send(request, HttpResponse.BodyHandlers.discarding()).statusCode();
      if (status / 100 == 2) {
        return Optional.empty();
      }
      final boolean refused =
          status / 100 == 4 && status != TOO_MANY_REQUESTS && status != REQUEST_TIMEOUT;
      return Optional.of(new Failure("status " + status, refused));
    } catch (final IOException e) {
      return Optional.of(new Failure(e.toString(), false));
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new ConnectException("interrupted while posting to " + request.uri(), e);
    }
  }

  /** Doubled with each attempt, and up to half of it taken off so that tasks do not keep step. */
  private long backoff() {
    final long longest = config.getLong(WebhookSinkConfig.BACKOFF_MAX_MS);
    final long doubled = config.getLong(WebhookSinkConfig.BACKOFF_MS) << Math.min(attempts - 1, 20);
    final long most = Math.min(longest, doubled);
    return most - ThreadLocalRandom.current().nextLong(most / 2 + 1);
  }

  @Override
  public void close(final Collection<TopicPartition> partitions) {
    done = 0;
    attempts = 0;
  }

  @Override
  public void stop() {
    if (http != null) {
      http.close();
    }
  }

  @Override
  public String version() {
    return PluginVersion.VALUE;
  }
}
