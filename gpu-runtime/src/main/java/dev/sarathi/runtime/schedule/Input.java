package dev.sarathi.runtime.schedule;

/** Where the token ids of a {@link Slice} come from. */
public sealed interface Input {

  /**
   * Ids that the scheduler knows.
   *
   * @param ids one id for each position of the slice; not modified after construction
   */
  record Known(int[] ids) implements Input {}

  /**
   * The one token that a batch still in flight will sample. It never travels through the host when
   * the executor keeps sampled tokens on its device.
   *
   * @param batch the id of the batch in flight
   * @param row the index of the sampling slice among that batch's slices
   */
  record FromBatch(long batch, int row) implements Input {}
}
