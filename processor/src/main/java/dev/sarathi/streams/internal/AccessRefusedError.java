package dev.sarathi.streams.internal;

import org.apache.kafka.common.errors.AuthenticationException;
import org.apache.kafka.common.errors.AuthorizationException;

/**
 * The brokers do not let this application in, or refuse it a right. An {@link Error}, so that no
 * exception handler tries again what only an operator can change: the stream thread ends, and the
 * application's uncaught-exception handler decides.
 *
 * <p>A refusal that the producer hears of by itself comes out of the next commit, past the
 * processor. One that it knows of already, as it does once a topic's metadata has been refused,
 * comes out of the send, in the middle of a step.
 */
public final class AccessRefusedError extends Error {
  AccessRefusedError(final RuntimeException cause) {
    super(cause.getMessage(), cause);
  }

  static boolean isAccessRefused(final Throwable failure) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      if (cause instanceof AuthorizationException || cause instanceof AuthenticationException) {
        return true;
      }
    }
    return false;
  }
}
