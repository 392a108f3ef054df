package dev.sarathi.tests.chaos;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;

/** What the proxies do to the traffic between applications and brokers, until it is taken away. */
sealed interface NetworkRule {
  /** A broker's id and the beginning of a client's; 0 and "" for all. */
  record Where(int broker, String client) {
    static final Where EVERYWHERE = new Where(0, "");

    boolean matches(final int someBroker, final String someClient) {
      return (broker == 0 || broker == someBroker) && someClient.startsWith(client);
    }
  }

  Where where();

  /** Every frame waits. */
  record Delay(Where where, Duration by) implements NetworkRule {}

  /** No frame passes; those under way arrive when the rule is gone, as TCP would have it. */
  record Blackhole(Where where) implements NetworkRule {}

  /** Connections are closed at their next frame. */
  record Drop(Where where) implements NetworkRule {}

  /**
   * A connection is closed when it is asked to end a transaction: before the broker has heard of
   * it, or after the broker has done so but before the client has heard of that. Either way the
   * client cannot tell whether the transaction is committed.
   *
   * @param delivered whether the broker gets the request
   * @param left how many requests are still to be treated so
   */
  record LoseEndTxn(Where where, boolean delivered, AtomicInteger left) implements NetworkRule {}
}
