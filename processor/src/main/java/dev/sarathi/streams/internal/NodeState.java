package dev.sarathi.streams.internal;

import dev.sarathi.streams.GenerationObserver;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.streams.processor.TaskId;

/**
 * What the processors of one node share in one process, across tasks and incarnations.
 *
 * <p>Threading: any stream thread.
 */
public final class NodeState {
  private final GenerationObserver observer;
  private final Set<TaskId> handedBack = ConcurrentHashMap.newKeySet();
  private final AtomicReference<Object> onTrial = new AtomicReference<>();
  private final ThreadLocal<Pace.Arrivals> arrivals = ThreadLocal.withInitial(Pace.Arrivals::new);

  /** Without anybody who looks on. */
  NodeState() {
    this(GenerationObserver.NONE);
  }

  public NodeState(final GenerationObserver observer) {
    this.observer = observer;
  }

  GenerationObserver observer() {
    return observer;
  }

  /** Notes that a task's processor ended without a failure of its own. */
  void handBack(final TaskId task) {
    handedBack.add(task);
  }

  /** Whether the task's last processor in this process ended so; true once for each. */
  boolean takeBack(final TaskId task) {
    return handedBack.remove(task);
  }

  /**
   * Asks to take up a request for the last time, which nobody else does meanwhile: what takes the
   * process down with it would spend the last attempts of others.
   *
   * @return whether the caller may
   */
  boolean beginTrial(final Object processor) {
    return onTrial.compareAndSet(null, processor);
  }

  /** Lets another begin, if this processor had begun. */
  void endTrial(final Object processor) {
    onTrial.compareAndSet(processor, null);
  }

  /** What comes to the processors of the calling stream thread. */
  Pace.Arrivals arrivals() {
    return arrivals.get();
  }
}
