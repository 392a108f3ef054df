package dev.sarathi.runtime.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.cache.BlockPool;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class OverlapTest {

  @Test
  void shouldLetAChunkWaitForTheOneBefore() {
    final Iterations iterations = iterations(Policy.STALL_FREE, Overlap.NONE);
    iterations.add(0, 40);

    assertThat(iterations.submit()).containsExactly("0: 0..16");
    assertThat(iterations.submit()).isEmpty();
    iterations.add(1, 40);
    assertThat(iterations.submit()).containsExactly("1: 0..16");
    iterations.complete();
    assertThat(iterations.submit()).containsExactly("0: 16..32");
  }

  @Test
  void shouldLetOnlyDecodesWaitWhereChunksOverlap() {
    final Iterations iterations = iterations(Policy.STALL_FREE, Overlap.CHUNKS);
    iterations.add(0, 20);

    assertThat(iterations.submit()).containsExactly("0: 0..16");
    assertThat(iterations.submit()).containsExactly("0: 16..20");
    assertThat(iterations.submit()).isEmpty();
    iterations.complete();
    assertThat(iterations.submit()).isEmpty();
    iterations.complete();
    assertThat(iterations.submit()).containsExactly("0: 20..21");
    assertThat(iterations.submit()).isEmpty();
  }

  @ParameterizedTest
  @EnumSource
  void shouldNotComputeASequenceTwiceAtATime(final Policy policy) {
    // given
    final Iterations iterations = iterations(policy, Overlap.NONE);
    iterations.add(0, 10);
    iterations.step();

    // then
    assertThat(iterations.submit()).containsExactly("0: 10..11");
    assertThat(iterations.submit()).isEmpty();
    iterations.complete();
    assertThat(iterations.submit()).containsExactly("0: 11..12");
  }

  @Test
  void shouldGiveEachStageAGroupOfItsOwn() {
    // given: at most two sequences, so one for each of two stages
    final Iterations iterations =
        new Iterations(
            Policy.DECODE_FIRST,
            new BlockPool(1_000, 16),
            new Policy.Settings(TokenBudget.of(16), 100, 2, Tenancy.EQUAL, 2, Overlap.NONE));
    iterations.add(0, 10);
    iterations.add(1, 20);
    iterations.add(2, 30);

    // then
    assertThat(iterations.submit()).containsExactly("0: 0..10");
    assertThat(iterations.submit()).containsExactly("1: 0..20");
    assertThat(iterations.submit()).isEmpty();
    iterations.complete();
    assertThat(iterations.submit()).containsExactly("0: 10..11");
    iterations.scheduler.remove(1);
    assertThat(iterations.submit()).containsExactly("2: 0..30");
  }

  private static Iterations iterations(final Policy policy, final Overlap overlap) {
    return new Iterations(
        policy,
        new BlockPool(1_000, 16),
        new Policy.Settings(TokenBudget.of(16), 100, 64, Tenancy.EQUAL, 2, overlap));
  }
}
