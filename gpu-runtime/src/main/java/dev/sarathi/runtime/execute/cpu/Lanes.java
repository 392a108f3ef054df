package dev.sarathi.runtime.execute.cpu;

import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * The vector width of this machine. No result depends on it: sums that run across lanes are always
 * kept in {@link #VIRTUAL} partial sums, however many registers these take.
 */
final class Lanes {
  /** Lanes of a sum, and positions of a KV block. */
  static final int VIRTUAL = 16;

  /** For tests only: narrows the vectors, so that every width can be tested on one machine. */
  private static final String WIDTH_PROPERTY = "sarathi.test.vector.bits";

  // The largest shape, not the preferred one: some processors prefer 256 bits but run 512 faster
  // here. The panels and the virtual lanes have room for no more than 512.
  static final int BITS =
      Integer.getInteger(
          WIDTH_PROPERTY, Math.clamp(VectorShape.S_Max_BIT.vectorBitSize(), 128, 512));

  static final VectorSpecies<Float> FLOATS =
      VectorSpecies.of(float.class, VectorShape.forBitSize(BITS));
  static final VectorSpecies<Integer> INTS =
      VectorSpecies.of(int.class, VectorShape.forBitSize(BITS));
  static final int LENGTH = FLOATS.length();

  private Lanes() {}
}
