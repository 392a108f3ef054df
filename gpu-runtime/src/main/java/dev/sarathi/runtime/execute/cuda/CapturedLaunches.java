package dev.sarathi.runtime.execute.cuda;

import dev.sarathi.runtime.execute.cuda.BatchPlan.Shape;
import dev.sarathi.runtime.execute.cuda.Driver.Graph;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The launches of batches of few shapes, captured once for each, so that one call starts them all:
 * a decode's kernels are so short that the time to start each would count.
 *
 * <p>Threading: as the driver's.
 */
final class CapturedLaunches {
  private static final Logger LOG = LoggerFactory.getLogger(CapturedLaunches.class);

  private final Driver driver;

  /** Empty for a shape that came once. */
  private final Map<Shape, Optional<Graph>> graphs = new HashMap<>();

  private boolean refused;

  CapturedLaunches(final Driver driver) {
    this.driver = driver;
  }

  /**
   * Queues the launches of a batch of this shape.
   *
   * @param launches the same whenever the shape is
   */
  void run(final Shape shape, final Runnable launches) {
    final Optional<Graph> graph = graphs.get(shape);
    if (refused || graph == null) {
      // Not captured the first time: a kernel may be loaded by its first launch, and many a shape
      // comes but once.
      graphs.put(shape, Optional.empty());
      launches.run();
    } else {
      graph.or(() -> capture(shape, launches)).ifPresentOrElse(Graph::launch, launches);
    }
  }

  private Optional<Graph> capture(final Shape shape, final Runnable launches) {
    try {
      final Optional<Graph> graph = Optional.of(driver.capture(launches));
      graphs.put(shape, graph);
      return graph;
    } catch (final DeviceException e) {
      refused = true;
      LOG.warn("the driver captures no launches; decodes are slower without: {}", e.getMessage());
      return Optional.empty();
    }
  }

  /** Forgets all, because addresses have changed. Nothing that was captured is in the queue. */
  void clear() {
    graphs.values().forEach(graph -> graph.ifPresent(Graph::close));
    graphs.clear();
  }
}
