package dev.sarathi.runtime.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sarathi.runtime.cache.BlockPool;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Blocks hold 16 positions throughout. A slice reads as {@code sequence: start..end}. */
class StallFreeTest {
  private static final int TOKEN = 7;

  private final Deque<Batch> inFlight = new ArrayDeque<>();
  private BlockPool pool;
  private Scheduler scheduler;

  @Test
  void shouldServeEveryDecodeFirstAndFillUpWithPrefill() {
    // given
    start(100, 32);
    add(0, 10);
    add(1, 10);
    step();
    add(2, 100);

    // when
    final Batch batch = step();

    // then
    assertThat(shape(batch)).containsExactly("0: 10..11", "1: 10..11", "2: 0..30");
  }

  @Test
  void shouldNeverCutDecodesByTheBudget() {
    // given: more decodes than the budget, half of which were held when the others came
    start(100, 16);
    final List<Sequence> first = IntStream.range(0, 12).mapToObj(id -> add(id, 1)).toList();
    step();
    first.forEach(sequence -> sequence.hold(true));
    IntStream.range(12, 24).forEach(id -> add(id, 1));
    step();
    first.forEach(sequence -> sequence.hold(false));
    add(24, 8);

    // when
    final Batch batch = step();

    // then: no room is left for a prompt, and less than none is none
    assertThat(shape(batch)).hasSize(24).allMatch(slice -> slice.endsWith(": 1..2"));
    assertThat(scheduler.load().waiting()).isOne();
  }

  @Test
  void shouldCutAPromptIntoChunksAndSampleFromTheLastAlone() {
    // given
    start(100, 16);
    add(0, 4);
    step();
    add(1, 40);

    // when
    final List<Batch> batches = List.of(step(), step(), step());

    // then
    assertThat(batches)
        .extracting(StallFreeTest::shape)
        .containsExactly(
            List.of("0: 4..5", "1: 0..15"),
            List.of("0: 5..6", "1: 15..30"),
            List.of("0: 6..7", "1: 30..40"));
    assertThat(batches)
        .extracting(batch -> batch.slices().getLast().sampling().isPresent())
        .containsExactly(false, false, true);
  }

  @Test
  void shouldPackSeveralPromptsIntoOneIterationAndCutTheLast() {
    start(100, 32);
    add(0, 10);
    add(1, 10);
    add(2, 20);

    assertThat(shape(step())).containsExactly("0: 0..10", "1: 0..10", "2: 0..12");
    assertThat(shape(step())).containsExactly("0: 10..11", "1: 10..11", "2: 12..20");
  }

  @Test
  void shouldFinishStartedPromptsBeforeNewOnes() {
    // given: an older prompt comes when a younger one is half done
    start(100, 16);
    add(5, 40);
    step();
    add(1, 40);

    // then
    assertThat(shape(step())).containsExactly("5: 16..32");
    assertThat(shape(step())).containsExactly("5: 32..40", "1: 0..8");
  }

  @Test
  void shouldServeInOrderOfRankWhateverTheOrderOfArrival() {
    start(100, 64);
    add(3, 10);
    add(1, 10);
    add(2, 10);

    assertThat(shape(step())).containsExactly("1: 0..10", "2: 0..10", "3: 0..10");
    assertThat(shape(step())).containsExactly("1: 10..11", "2: 10..11", "3: 10..11");
  }

  @Test
  void shouldServeEqualRanksInOrderOfId() {
    start(100, 64);
    scheduler.add(sequence(9, 1, 10, 8));
    scheduler.add(sequence(8, 1, 10, 8));

    assertThat(shape(step())).containsExactly("8: 0..10", "9: 0..10");
  }

  @Test
  void shouldLetNobodyOvertakeAPromptThatDoesNotFit() {
    // given: 10 blocks, of which the first has 4
    start(10, 512);
    add(0, 60);
    step();
    add(1, 7 * 16);
    add(2, 1);

    // then
    assertThat(shape(step())).containsExactly("0: 60..61");
    scheduler.remove(0);
    assertThat(shape(step())).containsExactly("1: 0..112", "2: 0..1");
  }

  @Test
  void shouldKeepTheWatermarkFreeAtAdmission() {
    // given: of 200 blocks 2 are the watermark, and 1 is taken
    start(200, 4096);
    add(0, 1);
    step();

    // when
    add(1, 198 * 16);
    step();

    // then
    assertThat(scheduler.load().waiting()).isOne();
    scheduler.remove(1);
    add(2, 197 * 16);
    assertThat(shape(step())).contains("2: 0..3152");
  }

  @Test
  void shouldAdmitASequenceAloneWhateverTheWatermark() {
    start(200, 4096);
    add(0, 200 * 16 - 1);

    assertThat(shape(step())).containsExactly("0: 0..3199");
  }

  @Test
  void shouldCountWhatAdmittedPromptsStillNeed() {
    // given: 10 blocks; the first prompt has taken 2 of the 6 it will need
    start(10, 32);
    add(0, 96);
    step();
    add(1, 5 * 16);

    // when: the second would fit into the 8 free blocks
    step();
    step();
    step();

    // then
    assertThat(scheduler.load()).isEqualTo(new Scheduler.Load(1, 1, 0, 3));
  }

  @Test
  void shouldAdmitNoMoreSequencesThanAllowed() {
    start(100, 512, 2);
    add(0, 10);
    add(1, 10);
    add(2, 10);

    assertThat(shape(step())).containsExactly("0: 0..10", "1: 0..10");
    scheduler.remove(0);
    assertThat(shape(step())).containsExactly("1: 10..11", "2: 0..10");
  }

  @Test
  void shouldPreemptTheYoungestForAnOlderDecode() {
    // given: 3 blocks, all taken
    start(3, 512);
    add(0, 15);
    add(1, 15);
    add(2, 9);
    step();
    step();
    assertThat(pool.free()).isZero();

    // when: 0 and 1 go on to their second block
    final Batch batch = step();

    // then: 2 gives its block to 0, then 1 is the youngest and gives way
    assertThat(shape(batch)).containsExactly("0: 16..17");
    assertThat(scheduler.load()).isEqualTo(new Scheduler.Load(2, 1, 2, 1));
  }

  @Test
  void shouldRecomputeAPreemptedSequenceAndCountOnFromItsTokens() {
    // given: both have generated two tokens when 1 loses its block
    start(2, 512);
    final Sequence older = add(0, 15);
    final Sequence younger = add(1, 15, 5);
    step();
    step();
    assertThat(shape(step())).containsExactly("0: 16..17");
    assertThat(younger.generated()).isEqualTo(2);

    // when
    scheduler.remove(older.id());
    final Batch batch = step();

    // then: prompt and tokens in one prefill, and the third token is drawn
    assertThat(shape(batch)).containsExactly("1: 0..17");
    assertThat(((Input.Known) batch.slices().getFirst().input()).ids()).endsWith(TOKEN, TOKEN);
    assertThat(batch.slices().getFirst().sampling().orElseThrow().outputIndex()).isEqualTo(2);
    step();
    step();
    assertThat(younger.generated()).isEqualTo(5);
    assertThat(scheduler.next(0)).isEmpty();
  }

  @Test
  void shouldShrinkAChunkToTheFreeBlocks() {
    // given: the prompt was admitted when 4 blocks were free, but the decode takes one of them
    start(5, 33);
    add(0, 15);
    step();
    add(1, 64);
    assertThat(shape(step())).containsExactly("0: 15..16", "1: 0..32");

    // when
    final Batch batch = step();

    // then
    assertThat(shape(batch)).containsExactly("0: 16..17", "1: 32..48");
  }

  @Test
  void shouldPreemptAYoungerDecodeForAPrefillWithoutBlocks() {
    // given: the prompt has filled 3 blocks, the decode sits on the other 2
    start(5, 17);
    add(9, 15);
    step();
    add(0, 64);
    step();
    step();
    step();

    // when
    final Batch batch = step();

    // then: the decode that the batch held already leaves it
    assertThat(shape(batch)).containsExactly("0: 48..64");
    assertThat(scheduler.load()).isEqualTo(new Scheduler.Load(1, 1, 1, 1));
  }

  @Test
  void shouldLetAYoungerPrefillWithoutBlocksWait() {
    // given: the same, but the decode is the older
    start(5, 17);
    add(0, 15);
    step();
    add(9, 64);
    step();
    step();
    step();

    // when
    final Batch batch = step();

    // then
    assertThat(shape(batch)).containsExactly("0: 18..19");
    assertThat(scheduler.load()).isEqualTo(new Scheduler.Load(0, 2, 0, 0));
  }

  @Test
  void shouldFinishTheOlderOfTwoHalfDonePromptsThatHaveNoBlocksLeft() {
    // given: of 8 blocks the prompts have 1 and 2, the decode has grown into the others
    start(8, 17);
    final Sequence decode = add(0, 15);
    step();
    final Sequence older = add(1, 48);
    step();
    older.hold(true);
    final Sequence younger = add(2, 48);
    step();
    step();
    younger.hold(true);
    while (pool.free() > 0) {
      step();
    }
    decode.hold(true);

    // when
    older.hold(false);
    younger.hold(false);

    // then
    assertThat(shape(step())).containsExactly("1: 16..33");
    assertThat(shape(step())).containsExactly("1: 33..48");
    assertThat(older.generated()).isOne();
    assertThat(scheduler.load()).isEqualTo(new Scheduler.Load(1, 2, 1, 0));
  }

  @Test
  void shouldLeaveHeldSequencesOutAndKeepTheirBlocks() {
    // given
    start(100, 16);
    final Sequence decode = add(0, 4);
    step();
    final Sequence prefill = add(1, 40);
    step();
    final int free = pool.free();

    // when
    decode.hold(true);
    prefill.hold(true);

    // then
    assertThat(scheduler.next(0)).isEmpty();
    assertThat(pool.free()).isEqualTo(free);
    decode.hold(false);
    prefill.hold(false);
    assertThat(shape(step())).containsExactly("0: 5..6", "1: 15..30");
  }

  @Test
  void shouldLetOthersPastAHeldPrompt() {
    start(100, 16);
    add(0, 4).hold(true);
    add(1, 4);

    assertThat(shape(step())).containsExactly("1: 0..4");
  }

  @Test
  void shouldFreeTheBlocksOfARemovedSequence() {
    // given
    start(100, 64);
    add(0, 40);
    final Batch batch = submit();

    // when: its result is still to come
    scheduler.remove(0);

    // then
    assertThat(pool.free()).isEqualTo(100);
    assertThat(scheduler.completed(result(batch))).isEmpty();
    assertThat(scheduler.next(0)).isEmpty();
    scheduler.remove(0);
  }

  @Test
  void shouldForgetARemovedSequenceThatWaits() {
    start(100, 64);
    add(0, 40);

    scheduler.remove(0);

    assertThat(scheduler.next(0)).isEmpty();
    assertThat(scheduler.load().waiting()).isZero();
  }

  @Test
  void shouldRefuseASequenceTwice() {
    start(100, 64);
    add(0, 40);

    assertThatThrownBy(() -> add(0, 40)).hasMessage("sequence 0 was added before");
  }

  @Test
  void shouldDecodeTheTokenThatABatchInFlightWillYield() {
    // given
    start(100, 64);
    add(0, 4);
    add(1, 5);

    // when
    final Batch prefill = submit();
    final Batch first = submit();
    final Batch second = submit();

    // then
    assertThat(shape(first)).containsExactly("0: 4..5", "1: 5..6");
    assertThat(first.slices())
        .extracting(Slice::input)
        .containsExactly(
            new Input.FromBatch(prefill.id(), 0), new Input.FromBatch(prefill.id(), 1));
    assertThat(second.slices().getLast().input()).isEqualTo(new Input.FromBatch(first.id(), 1));
    complete();
    assertThat(submit().slices().getFirst().input()).isEqualTo(new Input.FromBatch(second.id(), 0));
  }

  @Test
  void shouldSubmitSeveralChunksOfOnePromptAhead() {
    start(100, 16);
    add(0, 40);

    assertThat(List.of(submit(), submit(), submit(), submit()))
        .extracting(StallFreeTest::shape)
        .containsExactly(
            List.of("0: 0..16"), List.of("0: 16..32"), List.of("0: 32..40"), List.of("0: 40..41"));
  }

  @Test
  void shouldStopAtTheMaximumCountingTokensInFlight() {
    // given
    start(100, 64);
    final Sequence sequence = add(0, 4, 3);
    submit();
    submit();
    submit();

    // then
    assertThat(scheduler.next(0)).isEmpty();
    complete();
    complete();
    complete();
    assertThat(sequence.generated()).isEqualTo(3);
    assertThat(scheduler.next(0)).isEmpty();
  }

  @Test
  void shouldDropWhatABatchYieldsForASequencePreemptedInTheMeantime() {
    // given: 0 fills its block with the third batch, and needs 1's for the fourth
    start(2, 64);
    add(0, 14, 5);
    final Sequence younger = add(1, 4, 20);
    submit();
    submit();
    submit();
    assertThat(shape(submit())).containsExactly("0: 16..17");

    // when
    complete();
    complete();
    complete();

    // then
    assertThat(scheduler.load().preemptions()).isOne();
    assertThat(younger.generated()).isZero();
    complete();
    scheduler.remove(0);
    assertThat(shape(submit())).containsExactly("1: 0..4");
    complete();
    assertThat(younger.generated()).isOne();
  }

  @Test
  void shouldAwaitTheTokensInFlightBeforeTheYoungestLosesItsBlocks() {
    // given: 1 has filled the last block, with two tokens in flight; 0 sits on the other
    start(2, 64);
    final Sequence older = add(0, 4, 5);
    final Sequence younger = add(1, 15, 20);
    submit();
    older.hold(true);
    submit();

    // then: computed anew it would fit, and lose them again
    assertThat(scheduler.next(0)).isEmpty();
    complete();
    assertThat(scheduler.next(0)).isEmpty();
    complete();
    assertThat(younger.generated()).isEqualTo(2);
    assertThat(scheduler.next(0)).isEmpty();
    assertThat(scheduler.load()).isEqualTo(new Scheduler.Load(1, 1, 1, 1));
  }

  private void start(final int blocks, final int tokenBudget) {
    start(blocks, tokenBudget, 64);
  }

  private void start(final int blocks, final int tokenBudget, final int maxSequences) {
    pool = new BlockPool(blocks, 16);
    scheduler =
        Policy.STALL_FREE.scheduler(
            pool,
            new Policy.Settings(
                TokenBudget.of(tokenBudget), 0, maxSequences, Tenancy.EQUAL, 1, Overlap.ALL));
  }

  private Sequence add(final int id, final int prompt) {
    return add(id, prompt, 1_000);
  }

  /** The id is the rank too. */
  private Sequence add(final int id, final int prompt, final int maxGenerated) {
    final Sequence sequence = sequence(id, id, prompt, maxGenerated);
    scheduler.add(sequence);
    return sequence;
  }

  private static Sequence sequence(
      final int id, final int rank, final int prompt, final int maxGenerated) {
    return new Sequence(id, rank, new int[prompt], new int[0], maxGenerated, SamplingRule.GREEDY);
  }

  private Batch submit() {
    final Batch batch = scheduler.next(0).orElseThrow();
    inFlight.add(batch);
    return batch;
  }

  private void complete() {
    scheduler.completed(result(inFlight.remove()));
  }

  /** One batch, submitted and completed. */
  private Batch step() {
    final Batch batch = submit();
    complete();
    return batch;
  }

  private static StepResult result(final Batch batch) {
    return new StepResult(
        batch.id(),
        0,
        0,
        batch.slices().stream()
            .filter(slice -> slice.sampling().isPresent())
            .map(
                slice ->
                    new StepResult.Sampled(
                        slice.sequence(), TOKEN, Optional.empty(), Optional.empty()))
            .toList(),
        List.of(),
        List.of());
  }

  private static List<String> shape(final Batch batch) {
    return batch.slices().stream()
        .map(slice -> "%d: %d..%d".formatted(slice.sequence(), slice.start(), slice.end()))
        .toList();
  }
}
