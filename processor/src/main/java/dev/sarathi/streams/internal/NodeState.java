package dev.sarathi.streams.internal;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.streams.processor.TaskId;

/**
 * What the processors of one node share in one process, across tasks and incarnations.
 *
 * <p>Threading: any stream thread.
 */
public final class NodeState {
  private final Set<TaskId> handedBack = ConcurrentHashMap.newKeySet();
  private final ThreadLocal<Pace.Arrivals> arrivals = ThreadLocal.withInitial(Pace.Arrivals::new);

  /** Notes that a task's processor ended without a failure of its own. */
  void handBack(final TaskId task) {
    handedBack.add(task);
  }

  /** Whether the task's last processor in this process ended so; true once for each. */
  boolean takeBack(final TaskId task) {
    return handedBack.remove(task);
  }

  /** What comes to the processors of the calling stream thread. */
  Pace.Arrivals arrivals() {
    return arrivals.get();
  }
}
