package dev.sarathi.runtime.model;

/** How the elements of a {@link Tensor} are stored. */
public enum DataType {
  F32(4),
  BF16(2),
  F16(2);

  private final int bytes;

  DataType(final int bytes) {
    this.bytes = bytes;
  }

  /** Bytes of one element. */
  public int bytes() {
    return bytes;
  }
}
