package dev.sarathi.streams.broker;

/** The development broker did not start; the message ends with the last lines of its log. */
public final class BrokerFailedException extends RuntimeException {

  BrokerFailedException(final String message) {
    super(message);
  }

  BrokerFailedException(final String message, final Throwable cause) {
    super(message, cause);
  }
}
