package dev.sarathi.streams.replay;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The first place at which a replayed generation is not what was recorded.
 *
 * @param id the request's
 * @param choice which of its choices
 * @param index of the token
 * @param before the tokens before it, which are equal, the last ones of them
 * @param there what is recorded
 * @param here what the replay yielded
 */
public record Difference(
    String id, int choice, int index, List<Integer> before, Side there, Side here) {
  private static final int CONTEXT = 12;

  /**
   * One side of it.
   *
   * @param token the token at the place; absent if the choice has ended before
   * @param end how the choice ended, where that tells the difference
   */
  public record Side(Optional<Integer> token, String end) {}

  /** The first difference between what was recorded and what was replayed. */
  static Optional<Difference> between(
      final String id, final Recording there, final Recording here) {
    for (final Map.Entry<Integer, Recording.Choice> recorded : there.choices().entrySet()) {
      final int number = recorded.getKey();
      final Recording.Choice original = recorded.getValue();
      final Recording.Choice replayed = here.choices().getOrDefault(number, new Recording.Choice());
      final Optional<Integer> place = place(there, original, here, replayed);
      if (place.isPresent()) {
        final int index = place.get();
        return Optional.of(
            new Difference(
                id,
                number,
                index,
                Arrays.stream(original.tokens(Math.max(0, index - CONTEXT), index))
                    .boxed()
                    .toList(),
                side(original, index),
                side(replayed, index)));
      }
    }
    return Optional.empty();
  }

  private static Optional<Integer> place(
      final Recording there,
      final Recording.Choice original,
      final Recording here,
      final Recording.Choice replayed) {
    final int[] expected = original.tokens(0, original.size());
    final int[] actual = replayed.tokens(0, original.isCut() ? original.size() : replayed.size());
    final int mismatch = Arrays.mismatch(expected, actual);
    if (mismatch >= 0) {
      return Optional.of(mismatch);
    }
    final boolean sameEnd =
        original.isCut()
            ? !there.isRejected() || here.isRejected()
            : original.endsAs(replayed) && original.text().equals(replayed.text());
    return sameEnd ? Optional.empty() : Optional.of(original.size());
  }

  private static Side side(final Recording.Choice choice, final int index) {
    return new Side(
        index < choice.size() ? Optional.of(choice.token(index)) : Optional.empty(), choice.end());
  }
}
