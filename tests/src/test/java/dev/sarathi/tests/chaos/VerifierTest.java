package dev.sarathi.tests.chaos;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.FinishReason;
import dev.sarathi.tests.Oracle;
import dev.sarathi.tests.chaos.Anomaly.Kind;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/** Logs that are wrong in one way each. */
class VerifierTest {
  private static final Oracle.Answer ANSWER =
      new Oracle.Answer(List.of(5, 6, 7, 8), "abcd", FinishReason.LENGTH);

  private static final Seen.Completion COMPLETION =
      new Seen.Completion("id", 1, List.of(List.of(5, 6, 7, 8)), List.of("abcd"));

  @Test
  void shouldFindNothingInAGenerationThatWasResumed() {
    assertThat(verify(good())).isEmpty();
  }

  @Test
  void shouldFindNothingInAGenerationThatWasCancelled() {
    final List<Seen.Tokens> records = new ArrayList<>(good().subList(0, 1));
    records.add(
        new Seen.Tokens(
            "id",
            1,
            0,
            2,
            List.of(),
            "",
            Optional.of(dev.sarathi.schemas.FinishReason.CANCELLED),
            true,
            2,
            "b"));
    final List<Seen.Completion> completions =
        List.of(new Seen.Completion("id", 1, List.of(List.of(5, 6)), List.of("ab")));
    assertThat(verify(true, records, completions)).isEmpty();
    assertThat(verify(false, records, completions)).containsExactly(Kind.WRONG_END);
  }

  @Test
  void shouldFindALostRequest() {
    assertThat(verify(false, List.of(), List.of()))
        .containsExactlyInAnyOrder(Kind.LOST_REQUEST, Kind.LOST_COMPLETION);
    assertThat(verify(good().subList(0, 1)))
        .containsExactlyInAnyOrder(Kind.LOST_REQUEST, Kind.WRONG_COMPLETION);
  }

  @Test
  void shouldFindAnUnknownRequest() {
    assertThat(Verifier.verify(Map.of(), Map.of("id", good()), Map.of()))
        .extracting(Anomaly::kind)
        .containsExactly(Kind.UNKNOWN_REQUEST);
  }

  @Test
  void shouldFindATokenThatIsThereTwice() {
    assertThat(verify(with(records -> add(records, 1, tokens(0, 2, 1, "a")))))
        .containsExactly(Kind.DUPLICATE_TOKEN);
  }

  @Test
  void shouldFindAGap() {
    assertThat(verify(false, good().subList(1, 2), List.of(COMPLETION))).contains(Kind.GAP);
  }

  @Test
  void shouldFindAWrongToken() {
    final Seen.Tokens wrong =
        new Seen.Tokens("id", 1, 0, 0, List.of(5, 9), "ab", Optional.empty(), false, 1, "a");
    assertThat(verify(List.of(wrong, good().get(1)))).contains(Kind.WRONG_TOKEN);
  }

  @Test
  void shouldFindAWrongText() {
    final Seen.Tokens wrong =
        new Seen.Tokens("id", 1, 0, 0, List.of(5, 6), "ax", Optional.empty(), false, 1, "a");
    assertThat(verify(List.of(wrong, good().get(1)))).contains(Kind.WRONG_TOKEN);
  }

  @Test
  void shouldFindAWrongEnd() {
    final List<Seen.Tokens> records =
        List.of(good().get(0), end(2, 1, dev.sarathi.schemas.FinishReason.LENGTH));
    assertThat(verify(records)).contains(Kind.WRONG_END);
  }

  @Test
  void shouldFindTwoTerminals() {
    assertThat(
            verify(
                with(
                    records ->
                        add(records, 2, end(4, 0, dev.sarathi.schemas.FinishReason.LENGTH)))))
        .contains(Kind.TWO_TERMINALS);
  }

  @Test
  void shouldFindATokenAfterTheTerminal() {
    assertThat(verify(with(records -> add(records, 2, tokens(4, 1, 2, "b")))))
        .contains(Kind.TOKEN_AFTER_TERMINAL);
  }

  @Test
  void shouldFindTwoPartitions() {
    final Seen.Tokens elsewhere =
        new Seen.Tokens("id", 2, 0, 0, List.of(5, 6), "ab", Optional.empty(), false, 1, "a");
    assertThat(verify(List.of(elsewhere, good().get(1)))).containsExactly(Kind.TWO_PARTITIONS);
  }

  @Test
  void shouldFindAStaleAttempt() {
    final List<Seen.Tokens> records =
        List.of(tokens(0, 1, 2, "b"), tokens(1, 1, 1, "a"), good().get(1));
    assertThat(verify(records)).containsExactly(Kind.STALE_ATTEMPT);
  }

  @Test
  void shouldFindTwoIncarnationsOfAnAttempt() {
    final List<Seen.Tokens> records =
        List.of(tokens(0, 1, 1, "a"), tokens(1, 1, 1, "c"), good().get(1));
    assertThat(verify(records)).containsExactly(Kind.TWO_INCARNATIONS);
  }

  @Test
  void shouldFindWhatIsWrongWithCompletions() {
    assertThat(verify(false, good(), List.of())).containsExactly(Kind.LOST_COMPLETION);
    assertThat(verify(false, good(), List.of(COMPLETION, COMPLETION)))
        .containsExactly(Kind.TWO_COMPLETIONS);
    assertThat(
            verify(
                false,
                good(),
                List.of(new Seen.Completion("id", 1, List.of(List.of(5, 6)), List.of("ab")))))
        .containsExactly(Kind.WRONG_COMPLETION);
  }

  /** Two records, the second of a later attempt. */
  private static List<Seen.Tokens> good() {
    return List.of(tokens(0, 2, 1, "a"), end(2, 2, dev.sarathi.schemas.FinishReason.LENGTH));
  }

  private static Seen.Tokens tokens(
      final int index, final int count, final int attempt, final String incarnation) {
    final List<Integer> ids = Arrays.asList(5, 6, 7, 8, 9).subList(index, index + count);
    return new Seen.Tokens(
        "id",
        1,
        0,
        index,
        ids,
        "abcde".substring(index, index + count),
        Optional.empty(),
        false,
        attempt,
        incarnation);
  }

  private static Seen.Tokens end(
      final int index, final int count, final dev.sarathi.schemas.FinishReason reason) {
    final Seen.Tokens tokens = tokens(index, count, 2, "b");
    return new Seen.Tokens(
        "id", 1, 0, index, tokens.tokens(), tokens.text(), Optional.of(reason), true, 2, "b");
  }

  private static List<Seen.Tokens> with(final UnaryOperator<List<Seen.Tokens>> change) {
    return change.apply(new ArrayList<>(good()));
  }

  private static List<Seen.Tokens> add(
      final List<Seen.Tokens> records, final int at, final Seen.Tokens record) {
    records.add(at, record);
    return records;
  }

  private static List<Kind> verify(final List<Seen.Tokens> records) {
    return verify(false, records, List.of(COMPLETION));
  }

  private static List<Kind> verify(
      final boolean cancelled,
      final List<Seen.Tokens> records,
      final List<Seen.Completion> completions) {
    return Verifier.verify(
            Map.of("id", new Expectation("id", cancelled, List.of(ANSWER))),
            Map.of("id", records),
            Map.of("id", completions))
        .stream()
        .map(Anomaly::kind)
        .distinct()
        .toList();
  }
}
