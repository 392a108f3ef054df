package dev.sarathi.streams.admin;

import java.util.List;
import org.apache.kafka.common.errors.AuthorizationException;

/** What an operator's work takes on brokers that let nobody do anything without a right. */
final class Rights {
  private Rights() {}

  /**
   * Names all rights at once where the brokers refuse one: their own message tells the topic or the
   * group at best, and never the right.
   *
   * @return what to throw in the failure's place; the failure itself where it is another
   */
  static RuntimeException explain(final RuntimeException failure, final List<String> needed) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      if (cause instanceof AuthorizationException) {
        return new IllegalStateException(
            "not authorized: %s This takes %s."
                .formatted(sentence(cause.getMessage()), String.join(", ", needed)),
            failure);
      }
    }
    return failure;
  }

  private static String sentence(final String message) {
    return message.endsWith(".") ? message : message + ".";
  }
}
