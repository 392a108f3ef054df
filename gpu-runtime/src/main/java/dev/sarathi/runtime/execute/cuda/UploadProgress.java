package dev.sarathi.runtime.execute.cuda;

import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Logs how far an upload is, unless it is over before anybody wonders. */
final class UploadProgress {
  private static final Logger LOG = LoggerFactory.getLogger(UploadProgress.class);

  private static final long SOON = TimeUnit.SECONDS.toNanos(2);
  private static final long LONG_SILENCE = TimeUnit.SECONDS.toNanos(5);
  private static final int STEP_PERCENT = 10;

  private final long total;
  private final LongSupplier clock;
  private final long start;
  private long bytes;
  private long told;
  private long percentTold;

  /**
   * @param total bytes
   * @param clock in nanoseconds
   */
  UploadProgress(final long total, final LongSupplier clock) {
    this.total = total;
    this.clock = clock;
    start = clock.getAsLong();
    told = start;
  }

  /** That so many bytes more are on the device. */
  void uploaded(final long more) {
    bytes += more;
    final long now = clock.getAsLong();
    final long percent = 100 * bytes / Math.max(1, total);
    if (now - start >= SOON
        && (percent >= percentTold + STEP_PERCENT || now - told >= LONG_SILENCE)) {
      LOG.info(
          "uploading weights: {} % ({} of {} bytes) after {} s",
          percent, bytes, total, TimeUnit.NANOSECONDS.toSeconds(now - start));
      told = now;
      percentTold = percent - percent % STEP_PERCENT;
    }
  }
}
