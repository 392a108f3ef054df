package dev.sarathi.runtime.schedule;

import java.util.HashMap;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Optional;
import java.util.TreeSet;

/**
 * Who is admitted next. Within a tenant the lowest rank; among the tenants' first, those whose rank
 * has come before those that still age, then whose tenant has been served least. Fair by a virtual
 * token counter (Sheng et al., Fairness in Serving Large Language Models, OSDI'24): a tenant counts
 * the tokens it is served, divided by its weight, and cannot save up what it does not use. One
 * tenant alone is served in order of rank.
 */
final class WaitingLine {
  private final Tenancy tenancy;
  private final Map<String, Tenant> tenants = new HashMap<>();
  private int size;

  /** A tenant's sequences, and the tokens it has been served, divided by its weight. */
  static final class Tenant {
    private final double weight;
    private final NavigableSet<Sequence> waiting = new TreeSet<>(IterationScheduler.BY_RANK);
    private int running;
    private long promised;
    private double served;

    private Tenant(final double weight) {
      this.weight = weight;
    }

    private boolean isActive() {
      return running > 0 || !waiting.isEmpty();
    }
  }

  private record First(Sequence sequence, Tenant tenant) {}

  WaitingLine(final Tenancy tenancy) {
    this.tenancy = tenancy;
  }

  int size() {
    return size;
  }

  void add(final Sequence sequence) {
    final Tenant tenant =
        tenants.computeIfAbsent(sequence.tenant(), name -> new Tenant(tenancy.weight(name)));
    if (!tenant.isActive()) {
      final double least = leastServed();
      tenant.served = Double.isInfinite(least) ? 0 : Math.max(tenant.served, least);
    }
    sequence.account(tenant);
    tenant.waiting.add(sequence);
    size++;
  }

  /** Takes out a sequence that was not admitted; false if it does not wait. */
  boolean remove(final Sequence sequence) {
    final Tenant tenant = sequence.account();
    if (!tenant.waiting.remove(sequence)) {
      return false;
    }
    size--;
    forgetInactive(tenant);
    return true;
  }

  /** The next one to be admitted; held sequences and tenants at a cap are passed over. */
  Optional<Sequence> first(final long now) {
    Optional<First> best = Optional.empty();
    for (final Tenant tenant : tenants.values()) {
      final Optional<First> next = first(tenant);
      if (next.isPresent() && (best.isEmpty() || isBefore(next.get(), best.get(), now))) {
        best = next;
      }
    }
    return best.map(First::sequence);
  }

  private static boolean isBefore(final First one, final First other, final long now) {
    final boolean aged = one.sequence.rank() <= now;
    if (aged != other.sequence.rank() <= now) {
      return aged;
    }
    final int served = Double.compare(one.tenant.served, other.tenant.served);
    return served != 0
        ? served < 0
        : IterationScheduler.BY_RANK.compare(one.sequence, other.sequence) < 0;
  }

  private Optional<First> first(final Tenant tenant) {
    for (final Sequence sequence : tenant.waiting) {
      if (!sequence.isHeld()) {
        return mayRun(sequence, tenant)
            ? Optional.of(new First(sequence, tenant))
            : Optional.empty();
      }
    }
    return Optional.empty();
  }

  private boolean mayRun(final Sequence sequence, final Tenant tenant) {
    return tenant.running == 0
        || tenant.running < tenancy.maxRunning()
            && tenant.promised + sequence.maxLength() <= tenancy.maxTokens();
  }

  /** A waiting sequence runs. */
  void admitted(final Sequence sequence) {
    final Tenant tenant = sequence.account();
    tenant.waiting.remove(sequence);
    size--;
    tenant.running++;
    tenant.promised += sequence.maxLength();
  }

  /** A running sequence waits again. */
  void preempted(final Sequence sequence) {
    final Tenant tenant = sequence.account();
    tenant.waiting.add(sequence);
    size++;
    tenant.running--;
    tenant.promised -= sequence.maxLength();
  }

  /** A running sequence is gone. */
  void left(final Sequence sequence) {
    final Tenant tenant = sequence.account();
    tenant.running--;
    tenant.promised -= sequence.maxLength();
    forgetInactive(tenant);
  }

  /** Counts tokens towards a sequence's tenant: of its prompt once, then each that it generates. */
  void served(final Sequence sequence, final int tokens) {
    final Tenant tenant = sequence.account();
    tenant.served += tokens / tenant.weight;
  }

  /** Forgets tenants that would be lifted on their return, so that names do not pile up. */
  private void forgetInactive(final Tenant changed) {
    if (!changed.isActive()) {
      final double least = leastServed();
      tenants.values().removeIf(tenant -> !tenant.isActive() && tenant.served <= least);
    }
  }

  /** The least that an active tenant has been served; infinite if none is active. */
  private double leastServed() {
    return tenants.values().stream()
        .filter(Tenant::isActive)
        .mapToDouble(tenant -> tenant.served)
        .min()
        .orElse(Double.POSITIVE_INFINITY);
  }
}
