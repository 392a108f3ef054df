package dev.sarathi.runtime.benchmark;

import java.util.List;
import java.util.stream.Collectors;

/**
 * The sizes of a Llama model, which is all that its speed depends on.
 *
 * @param name of the model that has them
 * @param tied whether the embedding is the output projection too
 */
public record Shape(
    String name,
    int vocabulary,
    int hidden,
    int intermediate,
    int layers,
    int heads,
    int kvHeads,
    int headDim,
    boolean tied) {

  /** Those that have a name; the rotary embedding is Llama 2's in all of them. */
  public static final List<Shape> ALL =
      List.of(
          new Shape("llama-2-7b", 32_000, 4096, 11_008, 32, 32, 32, 128, false),
          new Shape("llama-3-8b", 128_256, 4096, 14_336, 32, 32, 8, 128, false),
          new Shape("tinyllama-1.1b", 32_000, 2048, 5632, 22, 32, 4, 64, false),
          new Shape("llama-3.2-1b", 128_256, 2048, 8192, 16, 32, 8, 64, true),
          new Shape("smollm2-135m", 49_152, 576, 1536, 30, 9, 3, 64, true),
          new Shape("storyteller", 898, 128, 384, 5, 4, 2, 32, true));

  /**
   * The shape of a name.
   *
   * @throws IllegalArgumentException if there is none
   */
  public static Shape named(final String name) {
    return ALL.stream()
        .filter(shape -> shape.name.equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "shape is %s; valid is %s"
                        .formatted(
                            name,
                            ALL.stream().map(Shape::name).collect(Collectors.joining(", ")))));
  }
}
