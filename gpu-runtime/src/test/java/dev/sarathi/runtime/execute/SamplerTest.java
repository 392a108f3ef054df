package dev.sarathi.runtime.execute;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sarathi.runtime.schedule.Logprobs;
import dev.sarathi.runtime.schedule.SamplingPlan;
import dev.sarathi.runtime.schedule.SamplingRule;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
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
    assertThat(new Sampler(5).sample(logits, 1, SamplingPlan.first(SamplingRule.GREEDY)))
        .isEqualTo(1);
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
                        SamplingRule.drawing(1, 0, 0, 1, i % 3 == 0 ? i : 0)
                            .forChoice(i % 3 == 1 ? i : 0),
                        i % 3 == 2 ? i : 0,
                        SamplingPlan.History.NONE))
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
      @ForAll @FloatRange(min = 0, max = 1) final float minP,
      @ForAll final long seed) {
    final Random random = new Random(seed);
    final float[] logits = new float[vocabulary];
    for (int i = 0; i < vocabulary; i++) {
      logits[i] = Math.round(random.nextGaussian() * 40) / 10f; // with ties
    }
    for (float p : new float[] {1, topP}) {
      final SamplingRule rule = SamplingRule.drawing(temperature, minP, topK, p, seed);
      final SamplingPlan plan = new SamplingPlan(rule.forChoice(1), 7, SamplingPlan.History.NONE);
      assertThat(new Sampler(vocabulary).sample(logits, 0, plan)).isEqualTo(plain(logits, plan));
    }
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY})
  void shouldRefuseLogitsThatAreNotNumbers(final float bad) {
    for (SamplingPlan plan : List.of(SamplingPlan.first(SamplingRule.GREEDY), plan(1, 2, 1, 0))) {
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
    return new SamplingPlan(
        SamplingRule.drawing(temperature, 0, topK, topP, 42), index, SamplingPlan.History.NONE);
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
  @Test
  void shouldKeepWhatIsLikelyEnoughInProportionToTheLikeliest() {
    // given probabilities 0.5, 0.3, 0.2 and a floor of 0.6 * 0.5
    final float[] logits = {(float) Math.log(0.5), (float) Math.log(0.3), (float) Math.log(0.2)};
    final SamplingRule rule = SamplingRule.drawing(1, 0.59f, 0, 1, 42);
    final Sampler sampler = new Sampler(3);

    // when
    final int[] drawn = new int[3];
    for (int i = 0; i < 1000; i++) {
      drawn[sampler.sample(logits, 0, new SamplingPlan(rule, i, SamplingPlan.History.NONE))]++;
    }

    // then
    assertThat(drawn[2]).isZero();
    assertThat(drawn[1]).isBetween(320, 430);
  }

  @Test
  void shouldPenaliseWhatWasSeenAsTheDefinitionsSay() {
    // given: token 0 in the prompt, 1 twice in the output, 2 in both
    final SamplingPlan.History history =
        new SamplingPlan.History(new int[] {0, 2, 1, 1, 2, 9}, 2, 5);
    final SamplingRule.Penalties penalties = new SamplingRule.Penalties(2, 0.5f, 0.25f);
    final float[] penalised = {4f / 2, 3f / 2 - 0.5f - 2 * 0.25f, -1f * 2 - 0.5f - 0.25f, 1};

    // then each token wins exactly against what lies below its penalised logit
    for (int token = 0; token < 3; token++) {
      for (final float margin : new float[] {-0.01f, 0.01f}) {
        final float[] logits = {4, 3, -1, 1, 0};
        logits[4] = penalised[token] + margin;
        for (int other = 0; other < 4; other++) {
          if (other != token) {
            logits[other] = Float.NEGATIVE_INFINITY;
          }
        }
        final SamplingPlan plan =
            new SamplingPlan(SamplingRule.GREEDY.withPenalties(penalties), 3, history);
        assertThat(new Sampler(5).sample(logits, 0, plan)).isEqualTo(margin < 0 ? token : 4);
      }
    }
  }

  @Test
  void shouldAddTheBiasBeforeThePenalties() {
    final SamplingRule rule =
        SamplingRule.GREEDY
            .withBias(new SamplingRule.LogitBias(new int[] {0}, new float[] {6}))
            .withPenalties(new SamplingRule.Penalties(2, 0, 0));
    final SamplingPlan plan =
        new SamplingPlan(rule, 0, new SamplingPlan.History(new int[] {0}, 1, 1));

    // then (2 + 6) / 2 = 4; the other order would give 2 / 2 + 6 = 7
    assertThat(new Sampler(2).sample(new float[] {2, 3.9f}, 0, plan)).isZero();
    assertThat(new Sampler(2).sample(new float[] {2, 4.1f}, 0, plan)).isEqualTo(1);
  }

  @Test
  void shouldForgetTheHistoryOfOneSequenceBeforeTheNext() {
    final Sampler sampler = new Sampler(2);
    final SamplingRule rule =
        SamplingRule.GREEDY.withPenalties(new SamplingRule.Penalties(1, 1, 0));
    final SamplingPlan seen =
        new SamplingPlan(rule, 1, new SamplingPlan.History(new int[] {1, 0}, 1, 2));
    final SamplingPlan fresh =
        new SamplingPlan(rule, 0, new SamplingPlan.History(new int[] {1}, 1, 1));

    assertThat(sampler.sample(new float[] {1, 0.5f}, 0, seen)).isEqualTo(1);
    assertThat(sampler.sample(new float[] {1, 0.5f}, 0, fresh)).isZero();
  }

  @Property(tries = 100)
  void shouldReportTheLogarithmOfTheSoftmaxWhateverThePlan(
      @ForAll @IntRange(min = 1, max = 200) final int vocabulary, @ForAll final long seed) {
    // given
    final Random random = new Random(seed);
    final float[] logits = new float[vocabulary + 1];
    for (int i = 0; i < logits.length; i++) {
      logits[i] = (float) random.nextGaussian() * 5;
    }
    final double total =
        IntStream.range(1, logits.length).mapToDouble(i -> Math.exp(logits[i])).sum();

    // when
    final int token = random.nextInt(vocabulary);
    final Logprobs logprobs = new Sampler(vocabulary).score(logits, 1, token, 5);

    // then
    assertThat(logprobs.logprob())
        .isCloseTo((float) (logits[token + 1] - Math.log(total)), within(1e-4f));
    final int[] order =
        IntStream.range(0, vocabulary)
            .boxed()
            .sorted(Comparator.comparing((Integer i) -> -logits[i + 1]).thenComparing(i -> i))
            .limit(5)
            .mapToInt(i -> i)
            .toArray();
    assertThat(logprobs.topTokens()).isEqualTo(order);
    for (int i = 0; i < order.length; i++) {
      assertThat(logprobs.topLogprobs()[i])
          .isCloseTo((float) (logits[order[i] + 1] - Math.log(total)), within(1e-4f));
    }
  }

  private static int plain(final float[] logits, final SamplingPlan plan) {
    final SamplingRule rule = plan.rule();
    final double highest =
        IntStream.range(0, logits.length).mapToDouble(i -> logits[i]).max().orElseThrow();
    final List<Integer> order =
        IntStream.range(0, logits.length)
            .filter(
                i ->
                    rule.minP() == 0
                        || (logits[i] - highest) / rule.temperature() >= Math.log(rule.minP()))
            .boxed()
            .sorted(Comparator.comparing((Integer i) -> -logits[i]).thenComparing(i -> i))
            .limit(rule.topK() == 0 ? logits.length : rule.topK())
            .toList();
    final double max = logits[order.getFirst()];
    final double total =
        order.stream().mapToDouble(i -> Math.exp((logits[i] - max) / rule.temperature())).sum();
    double reached = 0;
    int winner = -1;
    double best = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < order.size(); i++) {
      if (i > 0 && reached >= rule.topP() * total && rule.topP() < 1) {
        break;
      }
      final int token = order.get(i);
      reached += Math.exp((logits[token] - max) / rule.temperature());
      final int[] counter = {token, plan.outputIndex(), rule.choice(), 0};
      Philox.apply(counter, rule.seed());
      final double uniform = (Integer.toUnsignedLong(counter[0]) + 0.5) / 4294967296.0;
      final double score =
          (logits[token] - max) / rule.temperature() - StrictMath.log(-StrictMath.log(uniform));
      if (score > best || score == best && token < winner) {
        best = score;
        winner = token;
      }
    }
    return winner;
  }

  @Property(tries = 500)
  void shouldDrawFromContendersAsFromTheRow(
      @ForAll final long seed,
      @ForAll @FloatRange(min = 0, max = 2) final float temperature,
      @ForAll @IntRange(min = 0, max = 101) final int topK,
      @ForAll @FloatRange(min = 0, max = 1) final float topP,
      @ForAll @FloatRange(min = 0, max = 1) final float minP) {
    // given logits of which many are equal and some impossible
    final Random random = new Random(seed);
    final float[] logits = new float[100];
    for (int i = 0; i < logits.length; i++) {
      final int value = random.nextInt(12) - 4;
      logits[i] = value == 7 ? Float.NEGATIVE_INFINITY : value == 0 ? -0f : value * 0.75f;
    }
    final SamplingPlan plan =
        SamplingPlan.first(SamplingRule.drawing(temperature, minP, topK, topP, seed));
    final Sampler sampler = new Sampler(logits.length);
    final int drawn = sampler.sample(logits, 0, plan);

    // when some of the tokens at least as likely as the one that is drawn compete with it
    final int likeliest =
        sampler.sample(logits, 0, SamplingPlan.first(SamplingRule.drawing(0, 0, 0, 1, 0)));
    final int[] tokens =
        IntStream.concat(
                IntStream.of(likeliest),
                IntStream.range(0, logits.length)
                    .filter(i -> i == drawn || logits[i] > logits[drawn] && random.nextInt(3) == 0))
            .toArray();
    final float[] values = new float[tokens.length];
    for (int i = 0; i < tokens.length; i++) {
      values[i] = logits[tokens[i]];
    }

    // then
    assertThat(sampler.sample(new Contenders(tokens, values), plan)).isEqualTo(drawn);
  }

  @Test
  void shouldDrawFromContendersUnlessThePlanChangesLogits() {
    final SamplingRule drawing = SamplingRule.drawing(1, 0.1f, 10, 0.9f, 0);
    for (final SamplingRule rule :
        List.of(
            SamplingRule.GREEDY,
            drawing,
            SamplingRule.drawing(0.01f, 0, 0, 1, 0),
            SamplingRule.drawing(100, 0, 0, 1, 0))) {
      assertThat(Sampler.drawsFromContenders(SamplingPlan.first(rule))).as("%s", rule).isTrue();
    }
    for (final SamplingRule rule :
        List.of(
            SamplingRule.drawing(1e-30f, 0, 0, 1, 0),
            SamplingRule.drawing(1e30f, 0, 0, 1, 0),
            SamplingRule.drawing(Float.NaN, 0, 0, 1, 0),
            SamplingRule.drawing(1, 2, 10, 1, 0),
            drawing.withPenalties(new SamplingRule.Penalties(1, 1, 0)),
            drawing.withBias(new SamplingRule.LogitBias(new int[1], new float[1])))) {
      assertThat(Sampler.drawsFromContenders(SamplingPlan.first(rule))).as("%s", rule).isFalse();
    }
    final SamplingPlan masked =
        new SamplingPlan(drawing, 0, SamplingPlan.History.NONE, Optional.of(new long[2]));
    assertThat(Sampler.drawsFromContenders(masked)).isFalse();
  }
}
