package dev.sarathi.tests.chaos;

import java.util.Locale;

/** What the nemesis can do. */
enum Fault {
  /** SIGKILL of an instance, which is started again. */
  KILL_INSTANCE,
  /** SIGTERM of an instance, which is started again. */
  BOUNCE_INSTANCE,
  /** One instance more. */
  SCALE_OUT,
  /** One instance fewer. */
  SCALE_IN,
  /** SIGSTOP of an instance for longer than its session, then SIGCONT: a zombie. */
  PAUSE_INSTANCE,
  /** The engine of an instance breaks down in the middle of an iteration. */
  BREAK_ENGINE,
  /** No space is left where an instance keeps its state, while it runs and while it restarts. */
  FILL_DISK,
  /** SIGKILL and restart of any broker. */
  KILL_BROKER,
  /** SIGKILL and restart of the broker that coordinates an instance's transactions. */
  KILL_TRANSACTION_COORDINATOR,
  /** SIGKILL and restart of the broker that coordinates the group. */
  KILL_GROUP_COORDINATOR,
  /** SIGKILL and restart of the broker that leads a partition of the tokens. */
  KILL_LEADER,
  /** Connections of the applications to a broker are closed, again and again. */
  DROP_CONNECTIONS,
  /** Everything between the applications and the brokers takes longer. */
  DELAY,
  /** Nothing passes between an instance and the brokers, in either direction. */
  BLACKHOLE,
  /** A request to end a transaction is lost, and the connection with it. */
  LOSE_COMMIT,
  /** A transaction is ended, but the answer is lost, and the connection with it. */
  LOSE_COMMIT_ANSWER,
  /** A producer's transactional id is taken from it. */
  FENCE_PRODUCER;

  boolean hitsBroker() {
    return switch (this) {
      case KILL_BROKER, KILL_TRANSACTION_COORDINATOR, KILL_GROUP_COORDINATOR, KILL_LEADER -> true;
      default -> false;
    };
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
