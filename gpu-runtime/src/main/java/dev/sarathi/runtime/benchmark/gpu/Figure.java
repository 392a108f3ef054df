package dev.sarathi.runtime.benchmark.gpu;

import java.util.Optional;

/**
 * One measured figure.
 *
 * @param subject a shape, or the device itself
 * @param measured what
 * @param value in {@code unit}; absent if it could not be measured here
 * @param detail how the value comes about, or why there is none
 * @param goal what it should be, as a sentence's end; empty if there is none
 * @param reached whether it is; absent without a goal
 */
public record Figure(
    String subject,
    String measured,
    Optional<Double> value,
    String unit,
    String detail,
    String goal,
    Optional<Boolean> reached) {

  static Figure of(
      final String subject,
      final String measured,
      final double value,
      final String unit,
      final String detail) {
    return new Figure(subject, measured, Optional.of(value), unit, detail, "", Optional.empty());
  }

  static Figure missing(final String subject, final String measured, final String reason) {
    return new Figure(subject, measured, Optional.empty(), "", reason, "", Optional.empty());
  }

  Figure atLeast(final double goal) {
    return new Figure(
        subject,
        measured,
        value,
        unit,
        detail,
        "at least %s %s".formatted(number(goal), unit),
        Optional.of(value.orElseThrow() >= goal));
  }

  Figure atMost(final double goal) {
    return new Figure(
        subject,
        measured,
        value,
        unit,
        detail,
        "at most %s %s".formatted(number(goal), unit).strip(),
        Optional.of(value.orElseThrow() <= goal));
  }

  private static String number(final double value) {
    return value == Math.rint(value) ? "%.0f".formatted(value) : "%s".formatted(value);
  }
}
