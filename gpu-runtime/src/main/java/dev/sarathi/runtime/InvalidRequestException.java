package dev.sarathi.runtime;

/** A request that can never be served: names the field, its value and what would be valid. */
public final class InvalidRequestException extends IllegalArgumentException {
  private final String field;

  /**
   * Reports what is wrong.
   *
   * @param field the field at fault, by the name it has in the prompt schema
   * @param reason its value and what would be valid
   */
  public InvalidRequestException(final String field, final String reason) {
    super(field + ": " + reason);
    this.field = field;
  }

  /** {@return the field at fault, by the name it has in the prompt schema} */
  public String field() {
    return field;
  }
}
