package dev.sarathi.runtime.capacity;

import dev.sarathi.runtime.execute.simulated.Deployment;
import dev.sarathi.runtime.schedule.Policy;
import dev.sarathi.runtime.schedule.TokenBudget;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * Interactive and bulk requests, on instances of their own or on the same ones: the same
 * interactive load under the same SLO, and how much bulk there is room for beside it.
 *
 * @param qps the highest rate of interactive requests that half of the instances bear alone
 * @param apart bulk on the other half
 * @param together both on all of them
 */
public record MixedLoad(double qps, Side apart, Side together) {
  private static final double PRECISION = 0.025;
  private static final double SHARE = 0.99;

  /** At this rate all requests of a short trace come at once. */
  private static final double MOST = 1_024;

  /**
   * @param budget of the instances that serve bulk
   * @param p99Ttft of the interactive requests, seconds
   * @param p99Tbt of the interactive requests, seconds
   * @param bulkTokens generated for bulk requests, a second
   */
  public record Side(String budget, double p99Ttft, double p99Tbt, double bulkTokens) {}

  /**
   * @param instances half of which bear the interactive load alone
   * @param p99Tbt seconds
   * @param p99Ttft seconds
   * @param workload the interactive requests, with their gaps; bulk has the same lengths
   */
  public static MixedLoad of(
      final Deployment deployment,
      final int instances,
      final double p99Tbt,
      final double p99Ttft,
      final Workload workload) {
    if (instances < 2 || instances % 2 != 0) {
      throw new IllegalArgumentException(
          "%d instances; valid is an even number from 2 on".formatted(instances));
    }
    final Scenario auto =
        Scenario.of(deployment, Policy.STALL_FREE, TokenBudget.DEFAULT_TOKENS, workload)
            .withTokenBudget(new TokenBudget.Adaptive(Duration.ofNanos((long) (p99Tbt * 1e9))));
    final int half = instances / 2;
    double low = 0;
    double high = 1;
    Side alone = new Side("auto", 0, 0, 0);
    for (boolean growing = true; high - low > PRECISION * low && low < MOST; ) {
      final double rate = growing ? high : (low + high) / 2;
      final Side tried = serve(auto, half, rate, false);
      if (tried.p99Tbt <= p99Tbt && tried.p99Ttft <= p99Ttft) {
        low = rate;
        alone = tried;
        high = growing ? 2 * rate : high;
      } else {
        growing = false;
        high = rate;
      }
      if (high < 1.0 / 1_024) {
        throw new IllegalArgumentException(
            "%d of %s do not bear the least interactive load with P99 TBT %s s and TTFT %s s"
                .formatted(half, deployment.title(), p99Tbt, p99Ttft));
      }
    }
    final double seconds = seconds(workload, low);
    Side bulk = new Side("", 0, 0, 0);
    // Nobody waits for its tokens, so that its instances may have whichever budget is best.
    for (final int tokens : new int[] {512, 768, 1_024, 1_536, 2_048}) {
      final double rate =
          half
              * new Service(auto.withTokenBudget(TokenBudget.of(tokens)))
                  .run(List.of(), seconds, true)
                  .bulkTokens()
              / seconds;
      if (rate > bulk.bulkTokens) {
        bulk = new Side(Integer.toString(tokens), alone.p99Ttft, alone.p99Tbt, rate);
      }
    }
    return new MixedLoad(low, bulk, serve(auto, instances, low, true));
  }

  /** How much more bulk there is room for on the same instances. */
  public double gain() {
    return together.bulkTokens / apart.bulkTokens;
  }

  private static double seconds(final Workload workload, final double rate) {
    return workload.requests().stream().mapToDouble(Workload.Request::gap).sum() / rate;
  }

  private static Side serve(
      final Scenario scenario, final int instances, final double rate, final boolean bulk) {
    final List<List<Service.Arrival>> arrivals = new ArrayList<>();
    for (int i = 0; i < instances; i++) {
      arrivals.add(new ArrayList<>());
    }
    double time = 0;
    int key = 0;
    for (final Workload.Request request : scenario.workload().requests()) {
      time += request.gap();
      arrivals
          .get(Math.floorMod(hash(key++), instances))
          .add(new Service.Arrival(Math.round(time / rate * 1e9), request));
    }
    final double seconds = seconds(scenario.workload(), rate);
    final List<Long> ttfts = new ArrayList<>();
    final List<Long> gaps = new ArrayList<>();
    long tokens = 0;
    for (final List<Service.Arrival> some : arrivals) {
      final Service service = new Service(scenario).run(some, seconds, bulk);
      ttfts.addAll(service.ttfts());
      gaps.addAll(service.gaps());
      tokens += service.bulkTokens();
    }
    return new Side("auto", percentile(ttfts), percentile(gaps), tokens / seconds);
  }

  /** Spreads keys that follow each other, as the partitioner of a topic does. */
  private static int hash(final int key) {
    final int mixed = (key ^ key >>> 16) * 0x85ebca6b;
    return (mixed ^ mixed >>> 13) * 0xc2b2ae35 >>> 8;
  }

  private static double percentile(final List<Long> nanos) {
    if (nanos.isEmpty()) {
      return 0;
    }
    Collections.sort(nanos);
    return nanos.get((int) Math.ceil(nanos.size() * SHARE) - 1) / 1e9;
  }
}
