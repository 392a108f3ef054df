package dev.sarathi.streams.internal;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class PaceTest {
  private static final Duration CALM = Duration.ofMillis(2);
  private static final Duration LONG = Duration.ofMillis(25);
  private final Pace.Arrivals arrivals = new Pace.Arrivals();
  private final Pace pace = new Pace(CALM, arrivals);

  /** So many records, and then a turn. */
  private Duration turnAfter(final int records) {
    for (int i = 0; i < records; i++) {
      pace.arrived();
    }
    return pace.turn();
  }

  @Test
  void shouldKeepToTheDrainIntervalWhileRecordsComeNowAndThen() {
    for (int i = 0; i < 50; i++) {
      assertThat(turnAfter(i % 3 == 0 ? 0 : 1)).isEqualTo(CALM);
    }
  }

  @Test
  void shouldPauseLongerWhileManyRecordsComeAndNotAfterwards() {
    // when records come before every turn
    assertThat(turnAfter(1)).isEqualTo(CALM);
    assertThat(turnAfter(1)).isEqualTo(CALM);

    // then the next pauses are long, as long as there are many
    assertThat(turnAfter(1)).isEqualTo(LONG);
    assertThat(turnAfter(400)).isEqualTo(LONG);
    assertThat(turnAfter(900)).isEqualTo(LONG);

    // when there are few
    assertThat(turnAfter(3)).isEqualTo(CALM);

    // then it takes several turns again
    assertThat(turnAfter(1)).isEqualTo(CALM);
    assertThat(turnAfter(1)).isEqualTo(CALM);
    assertThat(turnAfter(1)).isEqualTo(LONG);
  }

  @Test
  void shouldPauseForTheRecordsOfItsNeighbours() {
    // given a processor of the same thread to which nothing comes
    final Pace neighbour = new Pace(CALM, arrivals);

    // when
    for (int i = 0; i < 3; i++) {
      turnAfter(2);
      neighbour.turn();
    }

    // then
    turnAfter(100);
    assertThat(neighbour.turn()).isEqualTo(LONG);
  }

  @Test
  void shouldNotShortenALongDrainInterval() {
    final Pace slow = new Pace(Duration.ofMillis(200), arrivals);
    for (int i = 0; i < 10; i++) {
      slow.arrived();
      assertThat(slow.turn()).isEqualTo(Duration.ofMillis(200));
    }
  }
}
