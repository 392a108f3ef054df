package dev.sarathi.runtime.trace;

import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.Iteration;
import dev.sarathi.runtime.IterationObserver;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes each iteration of an engine into a file, see {@link Trace}. When that fails, the engine
 * goes on without a trace.
 *
 * <p>Threading: the engine thread writes; any thread may close, after which nothing is written.
 */
public final class TraceWriter implements IterationObserver, AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(TraceWriter.class);

  private final Path file;
  private final BufferedWriter lines;
  private boolean open = true;

  private TraceWriter(final Path file, final BufferedWriter lines) {
    this.file = file;
    this.lines = lines;
  }

  /**
   * Begins the trace of an engine, in place of a file that may be there.
   *
   * @throws IllegalArgumentException if the file cannot be written
   */
  public static TraceWriter create(final Path file, final EngineConfig config) {
    try {
      final TraceWriter writer = new TraceWriter(file, Files.newBufferedWriter(file));
      writer.write(TraceHeader.of(config));
      return writer;
    } catch (final IOException e) {
      throw new IllegalArgumentException("trace file " + file + " cannot be written: " + e, e);
    }
  }

  @Override
  public synchronized void onIteration(final Iteration iteration) {
    if (open) {
      try {
        write(iteration);
      } catch (final IOException e) {
        LOG.error("trace {} ends at iteration {}: {}", file, iteration.id(), e.toString());
        close();
      }
    }
  }

  private void write(final Object line) throws IOException {
    lines.write(Trace.JSON.writeValueAsString(line));
    lines.write('\n');
  }

  @Override
  public synchronized void close() {
    if (open) {
      open = false;
      try {
        lines.close();
      } catch (final IOException e) {
        LOG.error("trace {} is not complete: {}", file, e.toString());
      }
    }
  }
}
