package dev.sarathi.runtime.schedule;

import dev.sarathi.runtime.cache.BlockPool;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.Set;

/**
 * FasterTransformer's policy, batching by requests: as many whole prompts as there is room for,
 * then their decodes alone until the last of them has ended. Each stage of a pipeline has such a
 * group of its own. Room is reserved as in {@link Mixed}.
 */
final class DecodeFirst extends IterationScheduler {
  private final int maxGroup;

  /** The groups, the one that was computed last at the end. */
  private final Deque<Set<Sequence>> groups = new ArrayDeque<>();

  DecodeFirst(final BlockPool pool, final Policy.Settings settings) {
    super(pool, settings, Reservation.MAXIMUM);
    this.maxGroup = Math.ceilDiv(settings.maxSequences(), settings.stages());
    for (int i = 0; i < settings.stages(); i++) {
      groups.add(new HashSet<>());
    }
  }

  @Override
  void plan(final BatchUnderConstruction batch) {
    for (int i = groups.size(); i > 0 && batch.isEmpty(); i--) {
      final Set<Sequence> group = groups.remove();
      group.retainAll(running());
      if (group.isEmpty()) {
        addWholePrompts(batch, Allowance.unlimited(), maxGroup);
        group.addAll(batch.members());
      } else {
        addDecodes(batch, group::contains);
      }
      groups.add(group);
    }
  }
}
