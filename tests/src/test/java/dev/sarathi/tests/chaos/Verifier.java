package dev.sarathi.tests.chaos;

import dev.sarathi.schemas.FinishReason;
import dev.sarathi.tests.Oracle;
import dev.sarathi.tests.chaos.Anomaly.Kind;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Holds what a {@code read_committed} consumer has seen against what had to be there. It knows
 * nothing of the product: records, the oracle's answers, and the headers that the producers add.
 *
 * <p>What the checks can see. The indices show every token that is missing or there twice, whatever
 * it is. The oracle shows every wrong one; a right one from a wrong place, which determinism makes
 * possible, it cannot. That is left to attempts and incarnations: attempts of a request never go
 * back, and one attempt is of one producer, since a thread that loses its tasks gets a new producer
 * and begins new attempts. So a token of an aborted transaction shows as a duplicate if its
 * successor was committed too, and as one attempt of two incarnations, or one that goes back, if it
 * stands in its place. What none of them can see: an aborted record whose successor in the same
 * attempt and incarnation was never written. Streams does not do that; it drops the producer.
 */
final class Verifier {
  private final List<Anomaly> anomalies = new ArrayList<>();

  static List<Anomaly> verify(
      final Map<String, Expectation> expectations,
      final Map<String, List<Seen.Tokens>> tokens,
      final Map<String, List<Seen.Completion>> completions) {
    final Verifier verifier = new Verifier();
    final Set<String> unknown = new HashSet<>(tokens.keySet());
    unknown.addAll(completions.keySet());
    unknown.removeAll(expectations.keySet());
    unknown.forEach(id -> verifier.report(Kind.UNKNOWN_REQUEST, id, "nobody asked for it"));
    expectations
        .values()
        .forEach(
            expected ->
                verifier.verify(
                    expected,
                    tokens.getOrDefault(expected.id(), List.of()),
                    completions.getOrDefault(expected.id(), List.of())));
    return List.copyOf(verifier.anomalies);
  }

  private void verify(
      final Expectation expected,
      final List<Seen.Tokens> records,
      final List<Seen.Completion> completions) {
    if (records.stream().noneMatch(Seen.Tokens::last)) {
      report(Kind.LOST_REQUEST, expected.id(), "has %d records, no last".formatted(records.size()));
    }
    verifyPlace(expected.id(), records);
    verifyAttempts(expected.id(), records);
    final List<List<Integer>> tokens = new ArrayList<>();
    final List<String> texts = new ArrayList<>();
    for (int choice = 0; choice < expected.answers().size(); choice++) {
      final int number = choice;
      final Emission emission = new Emission(expected.id() + "#" + number);
      records.stream().filter(record -> record.choice() == number).forEach(emission::add);
      emission.compare(expected.answers().get(number), expected.cancelled());
      tokens.add(emission.tokens);
      texts.add(emission.text.toString());
    }
    if (records.stream().anyMatch(record -> record.choice() >= expected.answers().size())) {
      report(Kind.WRONG_TOKEN, expected.id(), "has a choice that was not asked for");
    }
    verifyCompletions(expected.id(), completions, new Seen.Completion("", 0, tokens, texts));
  }

  private void verifyPlace(final String id, final List<Seen.Tokens> records) {
    if (records.stream().map(Seen.Tokens::partition).distinct().count() > 1) {
      report(Kind.TWO_PARTITIONS, id, "is in more than one partition");
    }
    final long last = records.stream().filter(Seen.Tokens::last).count();
    if (last > 1) {
      report(Kind.TWO_TERMINALS, id, "has %d last records".formatted(last));
    }
    if (last > 0 && !records.getLast().last()) {
      report(Kind.TOKEN_AFTER_TERMINAL, id, "goes on after its last record");
    }
  }

  private void verifyAttempts(final String id, final List<Seen.Tokens> records) {
    int attempt = 0;
    final Map<Integer, String> incarnations = new HashMap<>();
    for (final Seen.Tokens record : records) {
      if (record.attempt() < attempt) {
        report(
            Kind.STALE_ATTEMPT,
            id,
            "token %d is of attempt %d (%s), after one of attempt %d"
                .formatted(record.index(), record.attempt(), record.incarnation(), attempt));
      }
      attempt = Math.max(attempt, record.attempt());
      final String other = incarnations.putIfAbsent(record.attempt(), record.incarnation());
      if (other != null && !other.equals(record.incarnation())) {
        report(
            Kind.TWO_INCARNATIONS,
            id,
            "token %d of attempt %d is from %s, others from %s"
                .formatted(record.index(), record.attempt(), record.incarnation(), other));
      }
    }
  }

  private void verifyCompletions(
      final String id, final List<Seen.Completion> completions, final Seen.Completion expected) {
    if (completions.isEmpty()) {
      report(Kind.LOST_COMPLETION, id, "has no completion");
    } else if (completions.size() > 1) {
      report(Kind.TWO_COMPLETIONS, id, "has %d completions".formatted(completions.size()));
    }
    for (final Seen.Completion completion : completions) {
      if (!completion.tokens().equals(expected.tokens())
          || !completion.texts().equals(expected.texts())) {
        report(Kind.WRONG_COMPLETION, id, "its completion differs from its token records");
      }
    }
  }

  private void report(final Kind kind, final String subject, final String detail) {
    anomalies.add(new Anomaly(kind, subject, detail));
  }

  /** A choice, put together from its records. */
  private final class Emission {
    private final String name;
    private final List<Integer> tokens = new ArrayList<>();
    private final StringBuilder text = new StringBuilder();
    private final List<FinishReason> ends = new ArrayList<>();
    private boolean torn;

    private Emission(final String name) {
      this.name = name;
    }

    private void add(final Seen.Tokens record) {
      final int again = tokens.size() - record.index();
      if (again > 0) {
        torn = true;
        report(
            Kind.DUPLICATE_TOKEN,
            name,
            "token %d again, of attempt %d (%s)"
                .formatted(record.index(), record.attempt(), record.incarnation()));
      }
      if (again < 0) {
        torn = true;
        report(
            Kind.GAP,
            name,
            "token %d after %d tokens, of attempt %d (%s)"
                .formatted(record.index(), tokens.size(), record.attempt(), record.incarnation()));
        while (tokens.size() < record.index()) {
          tokens.add(-1);
        }
      }
      if (!ends.isEmpty() && again <= 0) {
        report(Kind.TOKEN_AFTER_TERMINAL, name, "token %d".formatted(record.index()));
      }
      record.tokens().stream().skip(Math.max(0, again)).forEach(tokens::add);
      if (again <= 0 || again < record.tokens().size()) {
        text.append(record.text());
      }
      record.finish().ifPresent(ends::add);
    }

    private void compare(final Oracle.Answer answer, final boolean cancelled) {
      if (ends.size() > 1) {
        report(Kind.TWO_TERMINALS, name, "ended %d times: %s".formatted(ends.size(), ends));
      }
      for (int i = 0; i < Math.min(tokens.size(), answer.tokens().size()); i++) {
        if (tokens.get(i) >= 0 && !tokens.get(i).equals(answer.tokens().get(i))) {
          report(
              Kind.WRONG_TOKEN,
              name,
              "token %d is %d, not %d".formatted(i, tokens.get(i), answer.tokens().get(i)));
          return;
        }
      }
      if (!torn && !answer.text().startsWith(text.toString())) {
        report(Kind.WRONG_TOKEN, name, "its text is not the oracle's");
      }
      if (ends.isEmpty()) {
        return; // reported as lost
      }
      final boolean early = cancelled && ends.getFirst() == FinishReason.CANCELLED;
      if (tokens.size() > answer.tokens().size()
          || !early
              && (tokens.size() < answer.tokens().size()
                  || !ends.getFirst().name().equals(answer.reason().name())
                  || !torn && text.length() < answer.text().length())) {
        report(
            Kind.WRONG_END,
            name,
            "ended %s after %d tokens, the oracle %s after %d"
                .formatted(
                    ends.getFirst(), tokens.size(), answer.reason(), answer.tokens().size()));
      }
    }
  }
}
