package dev.sarathi.runtime.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sarathi.runtime.cache.BlockPool;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Unless a test says otherwise, one sequence runs at a time: the budget is one prompt's length. */
class TenancyTest {
  private static final int PROMPT = 16;

  private final Map<Long, String> tenants = new HashMap<>();
  private Iterations iterations;
  private int nextId;

  @Test
  void shouldServeOneTenantInOrderOfRank() {
    start(Tenancy.EQUAL);
    add("a", 3);

    assertThat(served(3)).containsExactly(0L, 1L, 2L);
  }

  @Test
  void shouldServeTenantsInTurnsWhateverTheirQueues() {
    // given: one has queued ten before the other comes with three
    start(Tenancy.EQUAL);
    add("a", 10);
    add("b", 3);

    // then
    assertThat(tenants(served(6))).containsExactly("a", "b", "a", "b", "a", "b");
    assertThat(tenants(served(2))).containsExactly("a", "a");
  }

  @Test
  void shouldServeByWeight() {
    start(Tenancy.EQUAL.withWeights(Map.of("a", 3.0)));
    add("b", 20);
    add("a", 20);

    final List<String> served = tenants(served(16));

    assertThat(served.stream().filter("a"::equals)).hasSize(12);
  }

  @Test
  void shouldNotLetATenantSaveUpWhatItDidNotUse() {
    // given: a has been served five, b comes for the first time
    start(Tenancy.EQUAL);
    add("a", 20);
    served(5);

    // when
    add("b", 20);

    // then: b does not get five in a row
    assertThat(tenants(served(4)).stream().filter("b"::equals)).hasSize(2);
  }

  @Test
  void shouldRememberWhoWasServedMoreWhileOthersWait() {
    // given: a has been served twice what b has, and leaves
    start(Tenancy.EQUAL.withWeights(Map.of("b", 0.5)));
    add("a", 2);
    add("b", 10);
    assertThat(tenants(served(3))).containsExactly("a", "b", "a");

    // when
    add("a", 1);

    // then: both have been served as much, and b's rank is the lower
    assertThat(tenants(served(2))).containsExactly("b", "a");
  }

  @Test
  void shouldServeInteractiveBeforeBulkWhicheverTenantWasServedLess() {
    // given: b is behind, but its rank is still to come
    start(Tenancy.EQUAL);
    add("a", 3);
    served(1);
    final Sequence bulk = sequence(1_000, "b");
    iterations.scheduler.add(bulk);
    iterations.now = 500;

    // then
    assertThat(tenants(served(1))).containsExactly("a");
    iterations.now = 1_000;
    assertThat(served(1)).containsExactly(bulk.id());
  }

  @Test
  void shouldPassOverATenantAtItsCapOfSequences() {
    // given
    start(Tenancy.EQUAL.withMaxRunning(2), 512);
    add("a", 4);
    add("b", 1);

    // then
    assertThat(iterations.step()).containsExactly("0: 0..16", "4: 0..16", "1: 0..16");
    assertThat(iterations.step()).containsExactly("0: 16..17", "1: 16..17", "4: 16..17");
    iterations.scheduler.remove(0);
    assertThat(iterations.step()).contains("2: 0..16");
  }

  @Test
  void shouldPassOverATenantAtItsCapOfTokens() {
    // given: each may have 16 + 4 tokens in the end
    start(Tenancy.EQUAL.withMaxTokens(45), 512);
    add("a", 3);

    // then
    assertThat(iterations.step()).containsExactly("0: 0..16", "1: 0..16");
    assertThat(iterations.scheduler.load().waiting()).isOne();
  }

  @Test
  void shouldAdmitWhatExceedsTheCapOfTokensAlone() {
    start(Tenancy.EQUAL.withMaxTokens(5), 512);
    add("a", 2);

    assertThat(iterations.step()).containsExactly("0: 0..16");
    assertThat(iterations.step()).containsExactly("0: 16..17");
    iterations.scheduler.remove(0);
    assertThat(iterations.step()).containsExactly("1: 0..16");
  }

  @Test
  void shouldCountATenantsTokensOnceHoweverOftenTheyAreComputed() {
    // given: 0 and 1 of tenant a have each a block and want another; 1 is preempted
    iterations = new Iterations(Policy.STALL_FREE, new BlockPool(2, 16), 512, Tenancy.EQUAL);
    final Sequence first = iterations.add(0, new int[15], 4, "a", Sharing.DEFAULT);
    iterations.add(1, new int[15], 4, "a", Sharing.DEFAULT);
    iterations.step();
    iterations.step();
    iterations.step();
    assertThat(iterations.scheduler.load().preemptions()).isOne();

    // when: b comes, at the least that an active tenant has been served, and 1 is computed again
    iterations.add(2, new int[15], 4, "b", Sharing.DEFAULT);
    iterations.add(3, new int[15], 4, "b", Sharing.DEFAULT);
    iterations.add(4, new int[15], 4, "a", Sharing.DEFAULT);
    iterations.scheduler.remove(first.id());
    assertThat(iterations.step()).containsExactly("1: 0..17");
    iterations.scheduler.remove(1);

    // then: a is one token further, not eighteen
    assertThat(iterations.step()).containsExactly("2: 0..15", "4: 0..15");
  }

  @Test
  void shouldRefuseImpossibleSettings() {
    assertThatThrownBy(() -> Tenancy.EQUAL.withWeights(Map.of("a", 0.0)))
        .hasMessage("weight of tenant a is 0.0; valid is a finite number above 0");
    assertThatThrownBy(() -> Tenancy.EQUAL.withWeights(Map.of("a", Double.NaN)))
        .hasMessage("weight of tenant a is NaN; valid is a finite number above 0");
    assertThatThrownBy(() -> Tenancy.EQUAL.withMaxRunning(0))
        .hasMessage("running sequences of a tenant are limited to 0; valid is 1 or more");
    assertThatThrownBy(() -> Tenancy.EQUAL.withMaxTokens(0))
        .hasMessage("tokens of a tenant are limited to 0; valid is 1 or more");
  }

  private void start(final Tenancy tenancy) {
    start(tenancy, PROMPT);
  }

  private void start(final Tenancy tenancy, final int tokenBudget) {
    iterations = new Iterations(Policy.STALL_FREE, new BlockPool(100, 16), tokenBudget, tenancy);
    iterations.now = 100;
  }

  private void add(final String tenant, final int count) {
    for (int i = 0; i < count; i++) {
      iterations.scheduler.add(sequence(nextId, tenant));
    }
  }

  private Sequence sequence(final int rank, final String tenant) {
    final int id = nextId++;
    tenants.put((long) id, tenant);
    return new Sequence(
        id, rank, new int[PROMPT], new int[0], 4, SamplingRule.GREEDY, tenant, Sharing.DEFAULT);
  }

  /** Serves prompts one after the other, each for one token alone. */
  private List<Long> served(final int count) {
    final List<Long> served = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      final List<String> shape = iterations.submit();
      assertThat(shape).hasSize(1);
      iterations.complete();
      final long id = Long.parseLong(shape.getFirst().split(":")[0]);
      iterations.scheduler.remove(id);
      served.add(id);
    }
    return served;
  }

  private List<String> tenants(final List<Long> served) {
    return served.stream().map(tenants::get).toList();
  }
}
