package dev.sarathi.streams.internal;

import java.time.Duration;

/**
 * How often a processor has its turn: at the drain interval, and less often while many records come
 * in.
 *
 * <p>A stream thread takes one record more of each task before it looks around than it did the time
 * before, but half as many after any punctuation or commit (StreamThread.runOnce, 4.3.1). Turns
 * every few milliseconds that each ask for a commit thus hold it at one record a commit, some tens
 * a second, whatever waits in the topic. With a longer pause between turns the thread is soon at
 * hundreds.
 *
 * <p>Threading: confined to the stream thread.
 */
final class Pace {
  /** Turns in a row between which records came, until more are expected. */
  private static final int TURNS_OF_A_BURST = 3;

  /** Records that come in a long pause when more than a few wait. */
  private static final int RECORDS_OF_A_BURST = 16;

  private static final Duration BURST_INTERVAL = Duration.ofMillis(25);

  /**
   * The records that came to any processor of the stream thread: a punctuation of one holds up them
   * all, so all must pause.
   */
  static final class Arrivals {
    private long records;

    void arrived() {
      records++;
    }
  }

  private final Duration calm;
  private final Duration burst;
  private final Arrivals arrivals;
  private long recordsBefore;
  private int turnsWithRecords;
  private boolean bursting;

  Pace(final Duration drainInterval, final Arrivals arrivals) {
    this.calm = drainInterval;
    this.burst = drainInterval.compareTo(BURST_INTERVAL) < 0 ? BURST_INTERVAL : drainInterval;
    this.arrivals = arrivals;
    this.recordsBefore = arrivals.records;
  }

  /** Notes that the processor was given a record. */
  void arrived() {
    arrivals.arrived();
  }

  /**
   * Notes a turn.
   *
   * @return how long to wait for the next one
   */
  Duration turn() {
    final long records = arrivals.records - recordsBefore;
    recordsBefore = arrivals.records;
    turnsWithRecords = records > 0 && !bursting ? turnsWithRecords + 1 : 0;
    bursting = bursting ? records >= RECORDS_OF_A_BURST : turnsWithRecords == TURNS_OF_A_BURST;
    return bursting ? burst : calm;
  }
}
