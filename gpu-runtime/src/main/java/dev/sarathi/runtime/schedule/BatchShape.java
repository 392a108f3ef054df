package dev.sarathi.runtime.schedule;

/**
 * What of a batch its time depends on, whatever the hardware.
 *
 * @param tokens of decodes and chunks together
 * @param decodes how many
 * @param decodeContext the positions that all decodes attend to
 * @param prefillWork the positions that all tokens of all chunks attend to
 */
public record BatchShape(long tokens, int decodes, long decodeContext, double prefillWork) {
  static final BatchShape EMPTY = new BatchShape(0, 0, 0, 0);

  /** That of a batch. */
  public static BatchShape of(final Batch batch) {
    BatchShape shape = EMPTY;
    for (final Slice slice : batch.slices()) {
      shape =
          slice.count() == 1 && slice.start() > 0
              ? shape.withDecode(slice.end())
              : shape.withChunk(slice.start(), slice.count());
    }
    return shape;
  }

  BatchShape withDecode(final int context) {
    return new BatchShape(tokens + 1, decodes + 1, decodeContext + context, prefillWork);
  }

  BatchShape withChunk(final int start, final int count) {
    return withPrefill(count, (start + count / 2.0) * count);
  }

  BatchShape withPrefill(final int count, final double work) {
    return new BatchShape(tokens + count, decodes, decodeContext, prefillWork + work);
  }
}
