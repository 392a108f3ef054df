package dev.sarathi.runtime.execute;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sarathi.runtime.schedule.SamplingPlan;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.FloatRange;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SamplerTest {
  private static final int DRAWS = 40_000;

  @Test
  void shouldTakeTheLowestOfEquallyLikelyTokensWhenGreedy() {
    final float[] logits = {9, 1, 3, 3, -0f, 3};
    assertThat(new Sampler(5).sample(logits, 1, SamplingPlan.greedy(0, false))).isEqualTo(1);
    assertThat(new Sampler(2).sample(new float[] {-0f, 0f}, 0, plan(1, 1, 1, 0))).isZero();
  }

  @Test
  void shouldDrawEachTokenAsOftenAsItsProbabilitySays() {
    // given
    final float[] logits = {0, 1, 2, 3, -1, Float.NEGATIVE_INFINITY};
    final float temperature = 1.5f;

    // when
    final double[] drawn = draw(logits, temperature, 0, 1);

    // then
    final double[] expected = softmax(logits, temperature);
    for (int token = 0; token < logits.length; token++) {
      assertThat(drawn[token]).isCloseTo(expected[token], within(0.012));
    }
    assertThat(drawn[5]).isZero();
  }

  @Test
  void shouldDrawOnlyAmongTheLikeliestWhenTopKIsSet() {
    final double[] drawn = draw(new float[] {2, 0, 2, 1, 1, 3}, 1, 4, 1);
    // then the lower id of the two that tie for the fourth place
    assertThat(drawn[4]).isZero();
    assertThat(drawn[1]).isZero();
    final double[] expected = softmax(new float[] {2, 2, 1, 3}, 1);
    assertThat(drawn[0]).isCloseTo(expected[0], within(0.012));
    assertThat(drawn[3]).isCloseTo(expected[2], within(0.012));
    assertThat(drawn[5]).isCloseTo(expected[3], within(0.012));
  }

  @Test
  void shouldKeepTheSmallestSetThatReachesTopP() {
    final float[] logits = {(float) Math.log(0.5), (float) Math.log(0.3), (float) Math.log(0.2)};
    assertThat(draw(logits, 1, 0, 0.79f)).satisfies(d -> assertThat(d[2]).isZero());
    assertThat(draw(logits, 1, 0, 0.79f)[1]).isCloseTo(0.375, within(0.012));
    assertThat(draw(logits, 1, 0, 0.81f)[2]).isCloseTo(0.2, within(0.012));
    assertThat(draw(logits, 1, 0, 0f)[0]).isEqualTo(1);
    // top-p counts what top-k has left: 0.5 of 0.8
    assertThat(draw(logits, 1, 2, 0.6f)[0]).isEqualTo(1);
  }

  @Test
  void shouldDrawIndependentlyForEachSeedChoiceAndIndex() {
    final float[] even = new float[1000];
    final Sampler sampler = new Sampler(even.length);
    final long distinct =
        IntStream.range(0, 300)
            .mapToObj(
                i ->
                    new SamplingPlan(
                        1, 0, 1, i % 3 == 0 ? i : 0, i % 3 == 1 ? i : 0, i % 3 == 2 ? i : 0, false))
            .map(plan -> sampler.sample(even, 0, plan))
            .distinct()
            .count();
    assertThat(distinct).isGreaterThan(220);
  }

  @Property(tries = 300)
  void shouldAgreeWithThePlainDefinition(
      @ForAll @IntRange(min = 1, max = 400) final int vocabulary,
      @ForAll @FloatRange(min = 0.05f, max = 3) final float temperature,
      @ForAll @IntRange(min = 0, max = 50) final int topK,
      @ForAll @FloatRange(min = 0, max = 1) final float topP,
      @ForAll final long seed) {
    final Random random = new Random(seed);
    final float[] logits = new float[vocabulary];
    for (int i = 0; i < vocabulary; i++) {
      logits[i] = Math.round(random.nextGaussian() * 40) / 10f; // with ties
    }
    for (float p : new float[] {1, topP}) {
      final SamplingPlan plan = new SamplingPlan(temperature, topK, p, seed, 1, 7, false);
      assertThat(new Sampler(vocabulary).sample(logits, 0, plan)).isEqualTo(plain(logits, plan));
    }
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY})
  void shouldRefuseLogitsThatAreNotNumbers(final float bad) {
    for (SamplingPlan plan : List.of(SamplingPlan.greedy(0, false), plan(1, 2, 1, 0))) {
      assertThatThrownBy(() -> new Sampler(3).sample(new float[] {0, bad, 1}, 0, plan))
          .isInstanceOf(ArithmeticException.class)
          .hasMessage("the logit of token 1 is " + bad);
    }
  }

  @Test
  void shouldRefuseARowThatForbidsEveryToken() {
    final float[] logits = {Float.NEGATIVE_INFINITY, Float.NEGATIVE_INFINITY};
    assertThatThrownBy(() -> new Sampler(2).sample(logits, 0, plan(1, 0, 1, 0)))
        .hasMessageContaining("-Infinity");
    assertThatThrownBy(() -> new Sampler(1).sample(new float[1], 0, plan(Float.NaN, 0, 1, 0)))
        .hasMessageContaining("NaN");
  }

  private static SamplingPlan plan(
      final float temperature, final int topK, final float topP, final int index) {
    return new SamplingPlan(temperature, topK, topP, 42, 0, index, false);
  }

  private static double[] draw(
      final float[] logits, final float temperature, final int topK, final float topP) {
    final Sampler sampler = new Sampler(logits.length);
    final double[] drawn = new double[logits.length];
    for (int i = 0; i < DRAWS; i++) {
      drawn[sampler.sample(logits, 0, plan(temperature, topK, topP, i))] += 1.0 / DRAWS;
    }
    return Arrays.stream(drawn).map(d -> Math.round(d * DRAWS) / (double) DRAWS).toArray();
  }

  private static double[] softmax(final float[] logits, final float temperature) {
    final double[] weights = new double[logits.length];
    Arrays.setAll(weights, i -> Math.exp(logits[i] / temperature));
    final double total = Arrays.stream(weights).sum();
    return Arrays.stream(weights).map(w -> w / total).toArray();
  }

  /** Sorts, cuts and adds noise to every token that is left. */
  private static int plain(final float[] logits, final SamplingPlan plan) {
    final List<Integer> order =
        IntStream.range(0, logits.length)
            .boxed()
            .sorted(Comparator.comparing((Integer i) -> -logits[i]).thenComparing(i -> i))
            .limit(plan.topK() == 0 ? logits.length : plan.topK())
            .toList();
    final double max = logits[order.getFirst()];
    final double total =
        order.stream().mapToDouble(i -> Math.exp((logits[i] - max) / plan.temperature())).sum();
    double reached = 0;
    int winner = -1;
    double best = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < order.size(); i++) {
      if (i > 0 && reached >= plan.topP() * total && plan.topP() < 1) {
        break;
      }
      final int token = order.get(i);
      reached += Math.exp((logits[token] - max) / plan.temperature());
      final int[] counter = {token, plan.outputIndex(), plan.choice(), 0};
      Philox.apply(counter, plan.seed());
      final double uniform = (Integer.toUnsignedLong(counter[0]) + 0.5) / 4294967296.0;
      final double score =
          (logits[token] - max) / plan.temperature() - StrictMath.log(-StrictMath.log(uniform));
      if (score > best || score == best && token < winner) {
        best = score;
        winner = token;
      }
    }
    return winner;
  }
}
