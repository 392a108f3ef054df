package dev.sarathi.runtime.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.OptionalLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Blocks of two tokens, so that a prompt of five has two full ones. */
class BlockPoolTest {
  private static final OptionalLong NO_GROUP = OptionalLong.empty();

  private final BlockPool pool = new BlockPool(6, 2, true);

  @Test
  void shouldKeepComputedBlocksUntilTheyAreNeeded() {
    // given
    final BlockTable table = computed(1, 2, 3, 4, 5);
    final int[] blocks = IntStream.of(table.blocks()).limit(2).toArray();

    // when
    table.release();

    // then: two full ones are cached, the third is not findable
    assertThat(pool.load()).isEqualTo(new BlockPool.Load(6, 0, 2, 1, 5, 0, 0));
    assertThat(pool.free()).isEqualTo(6);
    assertThat(pool.find(NO_GROUP, new int[] {1, 2, 3, 4, 9}, 5)).isEqualTo(blocks);
    assertThat(pool.find(NO_GROUP, new int[] {1, 2, 8, 4, 9}, 5)).containsExactly(blocks[0]);
    assertThat(pool.find(NO_GROUP, new int[] {3, 4, 9}, 3)).isEmpty();
  }

  @Test
  void shouldEvictTheLeastRecentlyUsedAndChildrenBeforeParents() {
    // given: two chains of two blocks, the older of which is used again
    computed(1, 2, 3, 4).release();
    computed(5, 6, 7, 8).release();
    final BlockTable again = new BlockTable(pool, NO_GROUP);
    again.share(pool.find(NO_GROUP, new int[] {1, 2, 3, 4, 0}, 5), 5);
    again.release();

    // when: two blocks were never used, the third must be taken from the cache
    final BlockTable table = new BlockTable(pool, NO_GROUP);
    table.grow(6);

    // then
    assertThat(found(1, 2, 3, 4)).isEqualTo(2);
    assertThat(found(5, 6, 7, 8)).isEqualTo(1);
    table.grow(8);
    assertThat(found(5, 6, 7, 8)).isZero();
    table.grow(10);
    assertThat(found(1, 2, 3, 4)).isEqualTo(1);
    assertThat(pool.load().evictions()).isEqualTo(3);
  }

  @Test
  void shouldNotEvictWhatASequenceHolds() {
    // given
    final BlockTable holder = computed(1, 2, 3, 4);
    final BlockTable table = new BlockTable(pool, NO_GROUP);

    // when
    table.grow(8);

    // then
    assertThat(pool.free()).isZero();
    assertThatThrownBy(() -> table.grow(9)).hasMessage("all 6 KV blocks are taken");
    assertThat(found(1, 2, 3, 4)).isEqualTo(2);
    holder.release();
    assertThat(pool.free()).isEqualTo(2);
  }

  @Test
  void shouldNotTakeOneContentForAnotherOfTheSameHash() {
    // given
    assertThat(Arrays.hashCode(new int[] {0, 31})).isEqualTo(Arrays.hashCode(new int[] {1, 0}));
    computed(0, 31);
    computed(1, 0);

    // then
    final int[] first = pool.find(NO_GROUP, new int[] {0, 31, 9}, 3);
    final int[] second = pool.find(NO_GROUP, new int[] {1, 0, 9}, 3);
    assertThat(first).hasSize(1);
    assertThat(second).hasSize(1).isNotEqualTo(first);
  }

  @Test
  void shouldTellEqualTokensAfterDifferentBeginningsApart() {
    computed(1, 2, 3, 4);
    computed(5, 6);

    assertThat(found(5, 6, 3, 4)).isEqualTo(1);
  }

  @Test
  void shouldNotFindTheChildrenOfAnEvictedParentUnderANewOne() {
    // given: the chain 1 2, 3 4 is evicted whole
    computed(1, 2, 3, 4).release();
    final BlockTable all = new BlockTable(pool, NO_GROUP);
    all.grow(12);
    all.release();

    // when
    computed(1, 2);

    // then
    assertThat(found(1, 2, 3, 4)).isEqualTo(1);
  }

  @Test
  void shouldLeaveTheArraysOfSlicesInFlightAloneWhenABlockIsReplaced() {
    // given: two sequences compute the same at once
    final BlockTable first = new BlockTable(pool, NO_GROUP);
    final BlockTable second = new BlockTable(pool, NO_GROUP);
    first.grow(2);
    second.grow(2);
    final int[] inFlight = second.blocks();
    final int own = inFlight[0];

    // when
    first.publish(new int[] {1, 2}, 2);
    second.publish(new int[] {1, 2}, 2);

    // then
    assertThat(inFlight[0]).isEqualTo(own);
    assertThat(second.blocks()[0]).isEqualTo(first.blocks()[0]);
    assertThat(pool.references(first.blocks()[0])).isEqualTo(2);
    assertThat(pool.references(own)).isZero();
    second.release();
    first.release();
    assertThat(pool.free()).isEqualTo(6);
  }

  @Test
  void shouldRefuseWhatNobodyHolds() {
    final int block = pool.take();
    pool.release(block);

    assertThatThrownBy(() -> pool.release(block))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("KV block " + block + " is used or released, but no sequence holds it");
    assertThatThrownBy(() -> pool.publish(0, -1, block, new int[2], 0))
        .isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> pool.share(new int[] {block}, 2))
        .hasMessage("KV block " + block + " is shared, but its content unknown");
  }

  private BlockTable computed(final int... tokens) {
    final BlockTable table = new BlockTable(pool, NO_GROUP);
    table.share(new int[0], tokens.length);
    table.grow(tokens.length);
    table.publish(tokens, tokens.length);
    return table;
  }

  /** How many blocks of a sequence are known, without a look at its last token. */
  private int found(final int... tokens) {
    return pool.find(NO_GROUP, Arrays.copyOf(tokens, tokens.length + 1), tokens.length + 1).length;
  }
}
