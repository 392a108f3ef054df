package dev.sarathi.runtime.execute.cpu;

/**
 * Who computes the products with weights. Each set gives the same bits for every batch and thread
 * count, but not those of the other: each has its own numerics id.
 */
public enum KernelSet {
  /** The Vector API: on every processor, with the same bits on all of them. */
  JAVA("cpu-1"),

  /**
   * Compiled C, for processors with dot products of bfloat16 and of bytes: inputs are rounded as
   * the weights are, to bfloat16 or, for quantised weights, to eight bits.
   */
  NATIVE("cpu-native-1");

  /** Raised whenever a kernel changes a bit of a result. */
  private final String numerics;

  KernelSet(final String numerics) {
    this.numerics = numerics;
  }

  /** Names the set, and its version, in a numerics id. */
  String numerics() {
    return numerics;
  }

  /**
   * Why this set cannot run here, as the end of a sentence.
   *
   * @return empty if it can
   */
  public String obstacle() {
    return this == JAVA ? "" : NativeKernels.obstacle();
  }

  /**
   * The set of a name.
   *
   * @param name {@code java}, {@code native}, or {@code auto} for the native set where it can run
   * @return the set, which can run here
   * @throws IllegalArgumentException if it cannot; the message says why
   */
  public static KernelSet named(final String name) {
    final KernelSet set =
        switch (name) {
          case "java" -> JAVA;
          case "native" -> NATIVE;
          case "auto" -> NATIVE.obstacle().isEmpty() ? NATIVE : JAVA;
          default ->
              throw new IllegalArgumentException(
                  "kernels is " + name + "; valid is java, native or auto");
        };
    if (!set.obstacle().isEmpty()) {
      throw new IllegalArgumentException(
          "kernels is "
              + name
              + ", but "
              + set.obstacle()
              + "; valid here is java, or auto for native where it can run");
    }
    return set;
  }
}
