package dev.sarathi.runtime.schedule;

import java.time.Duration;
import java.util.Map;
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

  @Property(tries = 8_000, edgeCases = EdgeCasesMode.NONE)
  void shouldServeEveryRequestToItsEnd(@ForAll("workloads") final Workload workload) {
    final Simulation simulation = new Simulation(workload).run();

    Statistics.label(workload.policy() + ", preemptions")
        .collect(simulation.preemptions() > 0 ? "preempts" : "has room");
    Statistics.label("prefix cache " + (workload.memory().prefixCache() ? "on" : "off"))
        .collect(simulation.blocks().cachedTokens() > 0 ? "shares" : "shares nothing");
  }

  @Provide
  Arbitrary<Workload> workloads() {
    return Combinators.combine(
            Arbitraries.of(Policy.values()),
            pipeline(),
            memory(),
            budget(),
            Arbitraries.integers().between(1, 8),
            tenancy(),
            requests().list().ofMinSize(1).ofMaxSize(10),
            Arbitraries.longs())
        .as(Workload::new);
  }

  private static Arbitrary<TokenBudget> budget() {
    return Arbitraries.frequencyOf(
        Tuple.of(3, Arbitraries.integers().between(1, 24).map(TokenBudget::of)),
        Tuple.of(
            1,
            Arbitraries.integers()
                .between(1, 100)
                .map(millis -> new TokenBudget.Adaptive(Duration.ofMillis(millis)))));
  }

  private static Arbitrary<Workload.Pipeline> pipeline() {
    return Combinators.combine(
            Arbitraries.integers().between(1, 3),
            Arbitraries.frequencyOf(
                Tuple.of(2, Arbitraries.just(Overlap.ALL)),
                Tuple.of(1, Arbitraries.of(Overlap.NONE, Overlap.CHUNKS))))
        .as(Workload.Pipeline::new);
  }

  private static Arbitrary<Workload.Memory> memory() {
    return Combinators.combine(
            Arbitraries.integers().between(0, 8),
            Arbitraries.integers().between(1, 4),
            Arbitraries.of(true, false))
        .as(Workload.Memory::new);
  }

  private static Arbitrary<Tenancy> tenancy() {
    return Arbitraries.frequencyOf(
        Tuple.of(1, Arbitraries.just(Tenancy.EQUAL)),
        Tuple.of(
            1,
            Combinators.combine(
                    Arbitraries.integers().between(1, 4), Arbitraries.longs().between(1, 150))
                .as((running, tokens) -> new Tenancy(Map.of("a", 2.5), running, tokens))));
  }

  private static Arbitrary<Workload.Request> requests() {
    return Combinators.combine(
            Arbitraries.integers().between(0, 30),
            Arbitraries.integers().between(-10, 40),
            Arbitraries.integers().between(1, 24),
            Arbitraries.frequencyOf(
                Tuple.of(3, Arbitraries.just(0)),
                Tuple.of(1, Arbitraries.integers().between(1, 10))),
            Arbitraries.integers().between(1, 16),
            Arbitraries.frequencyOf(
                Tuple.of(4, Arbitraries.just(Integer.MAX_VALUE)),
                Tuple.of(1, Arbitraries.integers().between(0, 80))),
            families(),
            owners())
        .as(Workload.Request::new);
  }

  private static Arbitrary<Workload.Owner> owners() {
    return Combinators.combine(
            Arbitraries.of("a", "b", "c"),
            Arbitraries.frequencyOf(
                Tuple.of(2, Arbitraries.just(0)),
                Tuple.of(1, Arbitraries.integers().between(1, 200))))
        .as(Workload.Owner::new);
  }

  private static Arbitrary<Workload.Family> families() {
    return Combinators.combine(
            Arbitraries.integers().between(0, 1),
            Arbitraries.integers().between(0, 40),
            Arbitraries.of(true, false),
            Arbitraries.frequency(Tuple.of(4, true), Tuple.of(1, false)))
        .as(Workload.Family::new);
  }
}
