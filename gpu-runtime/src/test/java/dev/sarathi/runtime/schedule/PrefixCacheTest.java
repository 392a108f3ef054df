package dev.sarathi.runtime.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.cache.BlockPool;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** What sequences take from each other; the accounting behind it is tested with the pool. */
class PrefixCacheTest {
  private Iterations iterations = cached(100);

  @Test
  void shouldComputeOnlyWhatNobodyHasComputedBefore() {
    // given
    add(0, tokens(0, 40), Sharing.DEFAULT);
    iterations.step();

    // when: it shares 40 tokens, of which 32 fill blocks
    final Sequence second = add(1, tokens(0, 50), Sharing.DEFAULT);

    // then
    assertThat(iterations.step()).containsExactly("0: 40..41", "1: 32..50");
    assertThat(second.cachedTokens()).isEqualTo(32);
    assertThat(iterations.scheduler.blocks().cachedTokens()).isEqualTo(32);
  }

  @Test
  void shouldAlwaysComputeTheLastToken() {
    add(0, tokens(0, 32), Sharing.DEFAULT);
    iterations.step();

    final Sequence same = add(1, tokens(0, 32), Sharing.DEFAULT);

    assertThat(iterations.step()).contains("1: 16..32");
    assertThat(same.cachedTokens()).isEqualTo(16);
  }

  @Test
  void shouldNotShareABlockBeforeItIsComputed() {
    add(0, tokens(0, 40), Sharing.DEFAULT);
    iterations.submit();

    final Sequence early = add(1, tokens(0, 40), Sharing.DEFAULT);

    assertThat(iterations.submit()).contains("1: 0..40");
    assertThat(early.cachedTokens()).isZero();
  }

  @Test
  void shouldHoldOneCopyOfWhatTwoHaveComputedAtOnce() {
    // given: 3 blocks each
    add(0, tokens(0, 40), Sharing.DEFAULT);
    add(1, tokens(0, 40), Sharing.DEFAULT);
    iterations.submit();
    assertThat(iterations.pool.free()).isEqualTo(94);

    // when
    iterations.complete();

    // then
    assertThat(iterations.pool.free()).isEqualTo(96);
    assertThat(iterations.step()).containsExactly("0: 40..41", "1: 40..41");
  }

  @Test
  void shouldShareWhatWasGeneratedToo() {
    // given: a prompt of 10 tokens, and 30 times the same
    add(0, tokens(0, 10), Sharing.DEFAULT);
    IntStream.range(0, 30).forEach(i -> iterations.step());
    iterations.scheduler.remove(0);

    // when: the dialogue goes on
    final int[] dialogue = tokens(0, 60);
    Arrays.fill(dialogue, 10, 40, Iterations.TOKEN);
    final Sequence next = add(1, dialogue, Sharing.DEFAULT);

    // then: 39 positions were computed
    assertThat(iterations.step()).containsExactly("1: 32..60");
    assertThat(next.cachedTokens()).isEqualTo(32);
  }

  @Test
  void shouldFindItsOwnBlocksAfterAPreemption() {
    // given: 6 blocks; 1 loses its own when 0 needs a fourth
    iterations = cached(6);
    add(0, tokens(0, 47), Sharing.DEFAULT);
    final Sequence younger = add(1, tokens(100, 40), Sharing.DEFAULT);
    iterations.step();
    iterations.step();
    assertThat(iterations.step()).containsExactly("0: 48..49");

    // when: 0 goes, having taken one of the three
    iterations.scheduler.remove(0);

    // then: the last of a chain was evicted first
    assertThat(iterations.step()).containsExactly("1: 32..42");
    assertThat(younger.generated()).isEqualTo(3);
    assertThat(younger.cachedTokens()).as("at its first admission").isZero();
  }

  @Test
  void shouldAdmitByWhatIsNotCached() {
    // given: of 8 blocks 4 are taken
    iterations = cached(8);
    add(0, tokens(0, 60), Sharing.DEFAULT);
    iterations.step();

    // when: it wants 6, of which 3 are there
    add(1, tokens(0, 90), Sharing.DEFAULT);

    // then
    assertThat(iterations.step()).containsExactly("0: 60..61", "1: 48..90");
  }

  @Test
  void shouldComputeEverythingForASequenceThatDoesNotReadAndStillPublishIt() {
    add(0, tokens(0, 40), Sharing.DEFAULT.withoutReading());
    iterations.step();

    add(1, tokens(0, 40), Sharing.DEFAULT.withoutReading());
    add(2, tokens(0, 40), Sharing.DEFAULT);

    assertThat(iterations.step()).containsExactly("0: 40..41", "1: 0..40", "2: 32..40");
  }

  @Test
  void shouldNotPublishWhatFailed() {
    add(0, tokens(0, 40), Sharing.DEFAULT);
    iterations.submit();
    iterations.complete(List.of(new StepResult.Failure(0, "no numbers")));
    iterations.scheduler.remove(0);

    add(1, tokens(0, 40), Sharing.DEFAULT);

    assertThat(iterations.step()).containsExactly("1: 0..40");
  }

  @Test
  void shouldShareWithinAGroupAloneWhenSwitchedOff() {
    // given
    iterations = new Iterations(Policy.STALL_FREE, 100, 512);
    add(0, tokens(0, 40), Sharing.DEFAULT.withGroup(5));
    iterations.step();

    // when
    add(1, tokens(0, 40), Sharing.DEFAULT.withGroup(5));
    add(2, tokens(0, 40), Sharing.DEFAULT.withGroup(6));
    add(3, tokens(0, 40), Sharing.DEFAULT);

    // then
    assertThat(iterations.step()).containsExactly("0: 40..41", "1: 32..40", "2: 0..40", "3: 0..40");
  }

  @Test
  void shouldForgetAGroupThatNobodyHoldsWhenSwitchedOff() {
    // given
    iterations = new Iterations(Policy.STALL_FREE, 100, 512);
    add(0, tokens(0, 40), Sharing.DEFAULT.withGroup(5));
    iterations.step();
    iterations.scheduler.remove(0);

    // when
    add(1, tokens(0, 40), new Sharing(OptionalLong.of(5), true));

    // then
    assertThat(iterations.step()).containsExactly("1: 0..40");
    assertThat(iterations.scheduler.blocks().cached()).isZero();
  }

  private static Iterations cached(final int blocks) {
    return new Iterations(Policy.STALL_FREE, new BlockPool(blocks, 16, true), 512, Tenancy.EQUAL);
  }

  private Sequence add(final int id, final int[] prompt, final Sharing sharing) {
    return iterations.add(id, prompt, 1_000, "", sharing);
  }

  private static int[] tokens(final int from, final int count) {
    return IntStream.range(from, from + count).toArray();
  }
}
