package dev.sarathi.streams.cli;

import java.io.PrintWriter;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Locale;

/**
 * Shows how far a batch is: a bar that is redrawn on a terminal, a line every few seconds
 * elsewhere.
 *
 * <p>Threading: one thread, but {@link #close}.
 */
final class BatchView implements AutoCloseable {
  private static final long BAR_NANOS = Duration.ofMillis(200).toNanos();
  private static final long LINE_NANOS = Duration.ofSeconds(5).toNanos();

  /** Over which time the rates are taken. */
  private static final long RATE_NANOS = Duration.ofSeconds(15).toNanos();

  private static final int BAR = 24;

  /** What had come at a time. */
  private record Sample(long nanos, long lines, long tokens) {}

  private final PrintWriter out;
  private final boolean live;
  private final int total;
  private final Deque<Sample> samples = new ArrayDeque<>();
  private long shown;
  private boolean open;

  /**
   * @param live whether the line may be redrawn
   * @param total lines of the input
   */
  BatchView(final PrintWriter out, final boolean live, final int total) {
    this.out = out;
    this.live = live;
    this.total = total;
    this.shown = System.nanoTime();
  }

  void announce(final String what) {
    if (live) {
      redraw(what);
    } else {
      out.println(what);
      out.flush();
    }
  }

  /**
   * @param done lines answered, in this run and before
   * @param errors of these
   * @param tokens generated for what was answered in this run
   */
  void refresh(final int done, final int errors, final long tokens) {
    final long now = System.nanoTime();
    if (now - shown < (live ? BAR_NANOS : LINE_NANOS) && done < total) {
      return;
    }
    shown = now;
    samples.add(new Sample(now, done, tokens));
    while (samples.size() > 2 && now - samples.getFirst().nanos() > RATE_NANOS) {
      samples.removeFirst();
    }
    final String line = line(done, errors, samples.getFirst(), samples.getLast());
    if (live) {
      redraw(line);
    } else {
      out.println(line);
      out.flush();
    }
  }

  private String line(final int done, final int errors, final Sample from, final Sample to) {
    final double seconds = (to.nanos() - from.nanos()) / 1e9;
    final long lines = to.lines() - from.lines();
    final StringBuilder line = new StringBuilder();
    if (live) {
      final int full = (int) ((long) BAR * done / Math.max(1, total));
      line.append("█".repeat(full)).append("░".repeat(BAR - full)).append("  ");
    }
    line.append(String.format(Locale.ROOT, "%,d/%,d", done, total));
    if (seconds > 0) {
      line.append(
          String.format(Locale.ROOT, ", %,.0f tokens/s", (to.tokens() - from.tokens()) / seconds));
    }
    if (lines > 0 && done < total) {
      line.append(", ").append(clock(Math.round((total - done) * seconds / lines))).append(" left");
    }
    return line.append(errors == 1 ? ", 1 error" : ", " + errors + " errors").toString();
  }

  static String clock(final long seconds) {
    return seconds < 3600
        ? "%d:%02d".formatted(seconds / 60, seconds % 60)
        : "%d:%02d:%02d".formatted(seconds / 3600, seconds / 60 % 60, seconds % 60);
  }

  private synchronized void redraw(final String line) {
    open = true;
    out.print("\r\u001b[K" + line);
    out.flush();
  }

  /** Ends the line that was redrawn. */
  @Override
  public synchronized void close() {
    if (open) {
      open = false;
      out.println();
      out.flush();
    }
  }
}
