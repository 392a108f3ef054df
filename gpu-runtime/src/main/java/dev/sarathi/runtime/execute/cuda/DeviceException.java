package dev.sarathi.runtime.execute.cuda;

/** The GPU or its driver refused something; the message says what, and what helps. */
public final class DeviceException extends RuntimeException {
  DeviceException(final String message) {
    super(message);
  }
}
