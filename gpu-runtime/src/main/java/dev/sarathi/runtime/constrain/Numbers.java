package dev.sarathi.runtime.constrain;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Grammars of JSON numbers between bounds, digit by digit, for one {@link Grammar}. */
final class Numbers {
  /** As many digits as a double holds exactly. */
  static final int DIGITS = 15;

  /** The most digits of a bound, before its point and after it. */
  static final int BOUND_DIGITS = 18;

  static final BigInteger LARGEST = BigInteger.TEN.pow(DIGITS).subtract(BigInteger.ONE);

  /** Each takes some hundred nodes at most. */
  private static final int MAX_LENGTHS = 1_000;

  private final Map<List<Object>, Optional<Node>> made = new HashMap<>();
  private int lengths;
  private final Node digit = Node.bytes(ByteSet.range('0', '9'));

  /** Whole numbers from {@code min} to {@code max}; empty if there is none. */
  Optional<Node> integers(final BigInteger min, final BigInteger max) {
    return made.computeIfAbsent(List.of(min, max), _ -> signed(min, max, 0, Optional.empty()));
  }

  /**
   * Numbers from {@code min} to {@code max} without an exponent, with at least as many decimals as
   * the bounds have and at most {@value #DIGITS}.
   */
  Optional<Node> decimals(final BigDecimal min, final BigDecimal max) {
    return made.computeIfAbsent(List.of(min, max), _ -> decimalsOf(min, max));
  }

  private Optional<Node> decimalsOf(final BigDecimal min, final BigDecimal max) {
    final int scale =
        Math.max(0, Math.max(min.stripTrailingZeros().scale(), max.stripTrailingZeros().scale()));
    final Node further =
        scale == 0
            ? Node.optional(Node.series(Node.text("."), Node.repeat(digit, 1, DIGITS)))
            : Node.repeat(digit, 0, Math.max(0, DIGITS - scale));
    return signed(
        min.setScale(scale, RoundingMode.UNNECESSARY).unscaledValue(),
        max.setScale(scale, RoundingMode.UNNECESSARY).unscaledValue(),
        scale,
        Optional.of(further));
  }

  /** Any number that a double can hold, with an exponent of two digits at most. */
  Node any() {
    return Node.series(
        Node.optional(Node.text("-")),
        Node.either(
            Node.text("0"),
            Node.series(Node.bytes(ByteSet.range('1', '9')), Node.repeat(digit, 0, DIGITS - 1))),
        Node.optional(Node.series(Node.text("."), Node.repeat(digit, 1, DIGITS))),
        Node.optional(
            Node.series(
                Node.bytes(ByteSet.of("eE")),
                Node.optional(Node.bytes(ByteSet.of("+-"))),
                Node.repeat(digit, 1, 2))));
  }

  private Optional<Node> signed(
      final BigInteger min, final BigInteger max, final int scale, final Optional<Node> further) {
    final List<Node> ways = new ArrayList<>();
    // Minus zero is written only where digits may follow that make it less.
    final BigInteger least = further.isPresent() ? BigInteger.ZERO : BigInteger.ONE;
    if (min.signum() < 0) {
      magnitudes(max.negate().max(least), min.negate(), scale, further)
          .ifPresent(node -> ways.add(Node.series(Node.text("-"), node)));
    }
    magnitudes(min.max(BigInteger.ZERO), max, scale, further).ifPresent(ways::add);
    return ways.isEmpty() ? Optional.empty() : Optional.of(Node.either(ways));
  }

  /** The largest of them has no further digits, which would make it larger. */
  private Optional<Node> magnitudes(
      final BigInteger min, final BigInteger max, final int scale, final Optional<Node> further) {
    if (min.compareTo(max) > 0) {
      return Optional.empty();
    }
    if (further.isEmpty()) {
      return Optional.of(between(min, max, scale));
    }
    final List<Node> ways = new ArrayList<>();
    if (min.compareTo(max) < 0) {
      ways.add(Node.series(between(min, max.subtract(BigInteger.ONE), scale), further.get()));
    }
    ways.add(between(max, max, scale));
    return Optional.of(Node.either(ways));
  }

  /** One way for each number of digits; leading zeros are written before the point alone. */
  private Node between(final BigInteger min, final BigInteger max, final int scale) {
    final List<Node> ways = new ArrayList<>();
    for (int length = scale + 1; length <= Math.max(scale + 1, max.toString().length()); length++) {
      final BigInteger first =
          length == scale + 1 ? BigInteger.ZERO : BigInteger.TEN.pow(length - 1);
      final BigInteger from = min.max(first);
      final BigInteger to = max.min(BigInteger.TEN.pow(length).subtract(BigInteger.ONE));
      if (from.compareTo(to) <= 0) {
        if (++lengths > MAX_LENGTHS) {
          throw new ConstraintException(
              "json_schema: has too many different bounds of numbers; all that lie between them may"
                  + " have at most %d numbers of digits together".formatted(MAX_LENGTHS));
        }
        ways.add(new Digits(padded(from, length), padded(to, length), length - scale).between(0));
      }
    }
    return Node.either(ways);
  }

  private static String padded(final BigInteger value, final int length) {
    final String digits = value.toString();
    return "0".repeat(length - digits.length()) + digits;
  }

  /**
   * Digit strings of one length.
   *
   * @param point the digit before which the point is written, if it is not the first behind all
   */
  private record Digits(String min, String max, int point) {

    /** From a digit on, where all before are equal to both bounds. */
    Node between(final int at) {
      if (at == min.length()) {
        return Node.EMPTY;
      }
      final char low = min.charAt(at);
      final char high = max.charAt(at);
      if (low == high) {
        return Node.series(digit(at, low, high), between(at + 1));
      }
      final List<Node> ways = new ArrayList<>();
      ways.add(Node.series(digit(at, low, low), atLeast(at + 1)));
      if (low + 1 < high) {
        ways.add(Node.series(digit(at, low + 1, high - 1), any(at + 1)));
      }
      ways.add(Node.series(digit(at, high, high), atMost(at + 1)));
      return Node.either(ways);
    }

    private Node atLeast(final int at) {
      if (at == min.length()) {
        return Node.EMPTY;
      }
      final char low = min.charAt(at);
      final Node same = Node.series(digit(at, low, low), atLeast(at + 1));
      return low == '9'
          ? same
          : Node.either(same, Node.series(digit(at, low + 1, '9'), any(at + 1)));
    }

    private Node atMost(final int at) {
      if (at == max.length()) {
        return Node.EMPTY;
      }
      final char high = max.charAt(at);
      final Node same = Node.series(digit(at, high, high), atMost(at + 1));
      return high == '0'
          ? same
          : Node.either(Node.series(digit(at, '0', high - 1), any(at + 1)), same);
    }

    private Node any(final int at) {
      final int rest = min.length() - at;
      if (at > point || point == min.length()) {
        return times(rest);
      }
      return Node.series(times(point - at), Node.text("."), times(min.length() - point));
    }

    private static Node times(final int count) {
      return count == 0
          ? Node.EMPTY
          : Node.repeat(Node.bytes(ByteSet.range('0', '9')), count, count);
    }

    private Node digit(final int at, final int from, final int to) {
      final Node digit = Node.bytes(ByteSet.range(from, to));
      return at == point ? Node.series(Node.text("."), digit) : digit;
    }
  }
}
