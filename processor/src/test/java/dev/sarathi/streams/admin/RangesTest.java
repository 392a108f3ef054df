package dev.sarathi.streams.admin;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.random.RandomGenerator;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class RangesTest {
  @Test
  void shouldWriteRangesAsShortAsTheyAre() {
    final Ranges ranges = new Ranges();
    ranges.add(3, 3);
    ranges.add(9, 9);
    ranges.add(5, 5);
    assertThat(ranges).hasToString("3,5,9");

    ranges.add(4, 4);
    ranges.add(8, 9);
    assertThat(ranges).hasToString("3-5,8-9");

    ranges.removeBefore(4);
    assertThat(ranges).hasToString("4-5,8-9");
    ranges.removeBefore(10);
    assertThat(ranges).hasToString("");
  }

  static LongStream seeds() {
    return LongStream.range(0, 100);
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void shouldHoldWhatASetHolds(final long seed) {
    // given
    final RandomGenerator random = new Random(seed);
    final Ranges ranges = new Ranges();
    final Set<Long> expected = new TreeSet<>();

    // when
    for (int i = 0; i < 20; i++) {
      final long first = random.nextLong(60);
      final long last = first + random.nextLong(6);
      ranges.add(first, last);
      LongStream.rangeClosed(first, last).forEach(expected::add);
    }
    final long begin = random.nextLong(70);
    ranges.removeBefore(begin);
    expected.removeIf(offset -> offset < begin);

    // then, written and read back too
    final Ranges read = Ranges.parse(ranges.toString());
    assertThat(read).hasToString(ranges.toString());
    for (long offset = 0; offset < 70; offset++) {
      assertThat(ranges.contains(offset))
          .as("%d in %s", offset, ranges)
          .isEqualTo(expected.contains(offset));
      assertThat(read.contains(offset)).isEqualTo(expected.contains(offset));
    }
  }
}
