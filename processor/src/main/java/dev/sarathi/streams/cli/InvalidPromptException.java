package dev.sarathi.streams.cli;

/** A prompt that cannot be submitted; the message says why, in terms of what was given. */
final class InvalidPromptException extends Exception {

  InvalidPromptException(final String message) {
    super(message);
  }
}
