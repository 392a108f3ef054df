package dev.sarathi.runtime.benchmark.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.sarathi.runtime.benchmark.Shape;
import dev.sarathi.runtime.execute.cuda.TwinDriver;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

/** The benchmark of a GPU, over the CPU twin of one: that it measures, not what. */
class GpuBenchmarkTest {
  private static final Shape SHAPE = new Shape("small", 300, 64, 96, 1, 2, 1, 16, false);

  @Test
  void shouldMeasureEveryFigure() throws Exception {
    assumeThat(TwinDriver.built()).as("a C++ compiler was there to build the twin").isTrue();
    final List<Figure> figures = new ArrayList<>();
    final GpuBenchmark benchmark =
        new GpuBenchmark(
            () -> new TwinDriver(1),
            GpuBenchmark.Sizes.SMALL,
            OptionalDouble.of(1e12),
            figures::add);

    benchmark.ceilings();
    benchmark.shape(SHAPE);

    assertThat(figures)
        .extracting(Figure::measured)
        .containsExactly(
            "copy within its memory",
            "largest bfloat16 product",
            "decode, batch 1, context 48",
            "decode, batch 2, context 48",
            "prefill, 16 tokens",
            "prefill, 32 tokens",
            "28 prefill tokens with 4 decodes beside 32 alone",
            "8 mixed requests",
            "idle between two iterations");
    assertThat(figures).allMatch(figure -> figure.value().orElseThrow() > 0);
    assertThat(figures.get(1).detail()).endsWith("of the framework's");
    assertThat(figures.get(2).goal()).isEqualTo("at least 75 % of a copy");
    assertThat(figures.get(6).goal()).isEqualTo("at most 1.15");
  }

  @Test
  void shouldCountBytesAndOperationsAsPublishedSizesHaveThem() {
    final Shape llama2 = Shape.named("llama-2-7b");

    // 6.74e9 parameters, of which the embedding's 0.13e9 are not multiplied
    assertThat(GpuBenchmark.weightBytes(llama2)).isCloseTo(2 * 6.607e9, within(1e7));
    assertThat(GpuBenchmark.flops(llama2, 512)).isCloseTo(2 * 6.476e9 * 512, within(1e11));
  }
}
