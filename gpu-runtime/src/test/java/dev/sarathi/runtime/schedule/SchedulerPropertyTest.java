package dev.sarathi.runtime.schedule;

import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import net.jqwik.api.statistics.Statistics;

/** What every batch must keep is checked by {@link Simulation} and {@link CheckedDevice}. */
class SchedulerPropertyTest {

  @Property(tries = 12_000, edgeCases = EdgeCasesMode.NONE)
  void shouldServeEveryRequestToItsEnd(@ForAll("workloads") final Workload workload) {
    final Simulation simulation = new Simulation(workload).run();

    Statistics.label("depth " + workload.depth())
        .collect(simulation.preemptions() > 0 ? "preempts" : "has room");
  }

  @Provide
  Arbitrary<Workload> workloads() {
    return Combinators.combine(
            Arbitraries.of(1, 2, 4),
            Arbitraries.integers().between(0, 6),
            Arbitraries.integers().between(1, 4),
            Arbitraries.integers().between(1, 24),
            Arbitraries.integers().between(1, 8),
            requests().list().ofMinSize(1).ofMaxSize(10),
            Arbitraries.longs())
        .as(Workload::new);
  }

  private static Arbitrary<Workload.Request> requests() {
    return Combinators.combine(
            Arbitraries.integers().between(0, 30),
            Arbitraries.integers().between(0, 40),
            Arbitraries.integers().between(1, 24),
            Arbitraries.frequencyOf(
                Tuple.of(3, Arbitraries.just(0)),
                Tuple.of(1, Arbitraries.integers().between(1, 10))),
            Arbitraries.integers().between(1, 16),
            Arbitraries.frequencyOf(
                Tuple.of(4, Arbitraries.just(Integer.MAX_VALUE)),
                Tuple.of(1, Arbitraries.integers().between(0, 80))))
        .as(Workload.Request::new);
  }
}
