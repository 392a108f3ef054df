package dev.sarathi.streams.http;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/**
 * Server-sent events to one reader.
 *
 * <p>Threading: one thread sends, and waits while the reader is slow; {@link #watch} runs on
 * another.
 */
public final class EventStream {
  private static final Duration WATCH_INTERVAL = Duration.ofSeconds(1);
  private static final byte[] NOTHING = ":\n\n".getBytes(StandardCharsets.UTF_8);

  private final OutputStream out;
  private volatile boolean writing;
  private volatile long writingSince;

  EventStream(final OutputStream out) {
    this.out = out;
  }

  /**
   * Sends an event.
   *
   * @throws IOException if the reader is gone
   */
  public void send(final String event, final JsonNode data) throws IOException {
    write(
        "event: %s\ndata: %s\n\n"
            .formatted(event, Answer.JSON.writeValueAsString(data))
            .getBytes(StandardCharsets.UTF_8));
  }

  /**
   * Sends nothing, to see whether somebody reads.
   *
   * @throws IOException if the reader is gone
   */
  public void probe() throws IOException {
    write(NOTHING);
  }

  private void write(final byte[] bytes) throws IOException {
    writingSince = System.nanoTime();
    writing = true;
    try {
      out.write(bytes);
      out.flush();
    } finally {
      writing = false;
    }
  }

  /**
   * Interrupts the writer, which closes its socket, when one event has found no reader for so long.
   * Returns when it has, or when it is interrupted itself.
   */
  void watch(final Thread writer, final Duration patience) {
    try {
      while (!(writing && System.nanoTime() - writingSince > patience.toNanos())) {
        Thread.sleep(WATCH_INTERVAL);
      }
      writer.interrupt();
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
