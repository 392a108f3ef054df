package dev.sarathi.runtime.text;

/** A tokenizer cannot be used; the message names the file and what is wrong with it. */
public final class TokenizerException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  TokenizerException(final String message) {
    super(message);
  }

  TokenizerException(final String message, final Throwable cause) {
    super(message, cause);
  }
}
