package dev.sarathi.runtime.execute.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.sarathi.runtime.execute.Contenders;
import dev.sarathi.runtime.execute.Readout;
import dev.sarathi.runtime.execute.Sampler;
import dev.sarathi.runtime.schedule.Input;
import dev.sarathi.runtime.schedule.SamplingPlan;
import dev.sarathi.runtime.schedule.SamplingRule;
import dev.sarathi.runtime.schedule.Slice;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** What the twin finds out about rows of logits, against the sampler that sees all of them. */
class ContendersTest {
  private static final int LONGEST = 1 + 2 * Contenders.MOST;

  private final Random random = new Random(11);
  private TwinDriver driver;
  private DeviceData data;

  @BeforeEach
  void start() {
    assumeThat(TwinDriver.built()).as("a C++ compiler was there to build the twin").isTrue();
    driver = new TwinDriver(random.nextLong());
    data = new DeviceData(driver);
  }

  @AfterEach
  void close() {
    if (driver != null) {
      driver.close();
    }
  }

  /** How logits are spread. */
  private enum Spread {
    PEAKED,
    USUAL,
    FLAT,
    EQUAL,
    TIES,
    IMPOSSIBLE,
    EXTREME;

    float logit(final Random random) {
      final float normal = (float) random.nextGaussian();
      return switch (this) {
        case PEAKED -> 10 * normal;
        case USUAL -> 2.5f * normal - 7;
        case FLAT -> 0.01f * normal;
        case EQUAL -> -3;
        case TIES -> Math.round(4 * normal) * -0.25f;
        case IMPOSSIBLE -> random.nextInt(3) == 0 ? 3 * normal : Float.NEGATIVE_INFINITY;
        case EXTREME -> 5e37f * normal;
      };
    }
  }

  @ParameterizedTest
  @CsvSource({"1, 7", "31, 7", "513, 20", "898, 60", "32000, 12"})
  void shouldDrawWhatTheWholeRowGives(final int vocabulary, final int rows) {
    for (final Spread spread : Spread.values()) {
      // given
      final float[][] logits = new float[rows][];
      final List<SamplingPlan> plans = new ArrayList<>();
      for (int row = 0; row < rows; row++) {
        logits[row] = row(spread, vocabulary);
        plans.add(plan(anyRule(vocabulary)));
      }

      // when
      final List<Optional<Contenders>> found = contenders(logits, plans);

      // then nearly every row is decided
      assertSame(found, logits, plans, spread);
      assertThat(found).as("%s", spread).filteredOn(Optional::isEmpty).hasSizeLessThan(3);
    }
  }

  private float[] row(final Spread spread, final int vocabulary) {
    final float[] logits = new float[vocabulary];
    for (int i = 0; i < vocabulary; i++) {
      logits[i] = spread.logit(random);
    }
    logits[random.nextInt(vocabulary)] = 1;
    return logits;
  }

  private SamplingPlan plan(final SamplingRule rule) {
    return new SamplingPlan(rule, random.nextInt(10_000), SamplingPlan.History.NONE);
  }

  private SamplingRule anyRule(final int vocabulary) {
    final float temperature = (float) (0.1 * Math.pow(50, random.nextDouble()));
    final float[] minPs = {0, 0, 0, 0.05f, 1, random.nextFloat(), 1e-30f};
    final float[] topPs = {1, 1, 0.9f, 0.95f, 0.5f, 0.999f, 0, random.nextFloat()};
    final int[] topKs = {0, 0, 0, 1, 5, 40, 65, 500, vocabulary, vocabulary + 1};
    return SamplingRule.drawing(
            random.nextInt(20) == 0 ? 0 : temperature,
            minPs[random.nextInt(minPs.length)],
            topKs[random.nextInt(topKs.length)],
            topPs[random.nextInt(topPs.length)],
            random.nextLong())
        .forChoice(random.nextInt(3));
  }

  @ParameterizedTest
  @EnumSource(names = {"PEAKED", "USUAL", "FLAT"})
  void shouldDecideWithoutTheRow(final Spread spread) {
    // given
    final float[][] logits =
        IntStream.range(0, 64).mapToObj(i -> row(spread, 898)).toArray(float[][]::new);
    for (final SamplingRule rule :
        List.of(
            SamplingRule.drawing(1, 0, 0, 1, 5),
            SamplingRule.drawing(1.5f, 0.05f, 0, 1, 6),
            SamplingRule.drawing(0.7f, 0, 0, 0.9f, 7),
            SamplingRule.drawing(1, 0.01f, 100, 0.95f, 8))) {
      // when
      final List<SamplingPlan> plans = Arrays.stream(logits).map(row -> plan(rule)).toList();
      final List<Optional<Contenders>> found = contenders(logits, plans);

      // then
      assertSame(found, logits, plans, spread);
      assertThat(found).as("%s", rule).allMatch(Optional::isPresent);
      assertThat(found).filteredOn(f -> f.orElseThrow().tokens().length > 2).hasSizeLessThan(3);
    }
  }

  /** Of two tokens that are ever so close in the race, floats cannot tell which one wins. */
  @Test
  void shouldLeaveToTheSamplerWhatIsTooClose() {
    final Sampler sampler = new Sampler(900);
    final List<SamplingPlan> plans = new ArrayList<>();
    final List<float[]> rows = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      // given a token whose logit is the least, of all floats, with which it wins
      final SamplingPlan plan =
          plan(SamplingRule.drawing(0.2f + 2 * random.nextFloat(), 0, 0, 1, random.nextLong()));
      final float[] row = row(Spread.USUAL, 900);
      final int token = random.nextInt(900);
      float loses = -60;
      float wins = 60;
      while (Math.nextUp(loses) < wins) {
        row[token] = (loses + wins) / 2;
        if (sampler.sample(row, 0, plan) == token) {
          wins = row[token];
        } else {
          loses = row[token];
        }
      }
      for (final float logit : new float[] {loses, wins, wins + 1e-6f, loses - 1e-6f}) {
        final float[] close = row.clone();
        close[token] = logit;
        rows.add(close);
        plans.add(plan);
      }
    }

    // when
    final float[][] logits = rows.toArray(float[][]::new);
    final List<Optional<Contenders>> found = contenders(logits, plans);

    // then
    assertSame(found, logits, plans, Spread.USUAL);
    assertThat(found).allMatch(f -> f.isEmpty() || f.orElseThrow().tokens().length > 2);
  }

  @Test
  void shouldDecideNothingWhereLogitsAreNoNumbersOrNotDrawnFrom() {
    final float[][] logits = new float[4][600];
    logits[0][300] = Float.NaN;
    logits[1][599] = Float.POSITIVE_INFINITY;
    Arrays.fill(logits[2], Float.NEGATIVE_INFINITY);
    final SamplingRule rule = SamplingRule.drawing(1, 0, 0, 0.9f, 1);
    final SamplingPlan plan = SamplingPlan.first(rule);
    final SamplingPlan reported = SamplingPlan.first(rule.withReturnLogits(true));

    assertThat(contenders(logits, List.of(plan, plan, plan, reported))).allMatch(Optional::isEmpty);
    assertThat(written(logits, List.of(plan, plan, plan, reported))[3])
        .containsOnly(0); // nobody wrote it
  }

  private void assertSame(
      final List<Optional<Contenders>> found,
      final float[][] logits,
      final List<SamplingPlan> plans,
      final Spread spread) {
    final Sampler sampler = new Sampler(logits[0].length);
    for (int row = 0; row < logits.length; row++) {
      final SamplingPlan plan = plans.get(row);
      if (found.get(row).isPresent()) {
        assertThat(sampler.sample(found.get(row).get(), plan))
            .as("%s, row %d, %s", spread, row, plan)
            .isEqualTo(sampler.sample(logits[row], 0, plan));
      }
    }
  }

  private List<Optional<Contenders>> contenders(
      final float[][] logits, final List<SamplingPlan> plans) {
    return Arrays.stream(written(logits, plans))
        .map(
            result -> {
              if (result[0] <= 0) {
                return Optional.<Contenders>empty();
              }
              final int[] tokens = new int[result[0]];
              final float[] values = new float[result[0]];
              for (int i = 0; i < tokens.length; i++) {
                values[i] = Float.intBitsToFloat(result[1 + 2 * i]);
                tokens[i] = result[2 + 2 * i];
              }
              return Optional.of(new Contenders(tokens, values));
            })
        .toList();
  }

  /** Each row's result as it lies in memory. */
  private int[][] written(final float[][] logits, final List<SamplingPlan> plans) {
    final int vocabulary = logits[0].length;
    final int stride = vocabulary + 3;
    final float[] all = new float[logits.length * stride];
    Arrays.fill(all, Float.NaN);
    final List<Slice> slices = new ArrayList<>();
    for (int row = 0; row < logits.length; row++) {
      System.arraycopy(logits[row], 0, all, row * stride, vocabulary);
      slices.add(
          new Slice(
              row,
              0,
              1,
              new Input.Known(new int[1]),
              new int[1],
              Optional.of(plans.get(row)),
              Optional.empty()));
    }
    final Readout readout = new Readout(logits.length, vocabulary);
    readout.begin(slices);
    final BatchPlan plan = new BatchPlan(new Heads(1, 1, 16, 16), logits.length, 1, false);
    plan.plan(slices, new int[logits.length], readout);
    final long address = data.ints(Arrays.copyOf(plan.values(), plan.length()));
    final long results = data.zeros(4L * logits.length * LONGEST);
    new Kernels(driver)
        .contenders(
            data.floats(all),
            stride,
            vocabulary,
            address + 4L * plan.draws(),
            results,
            Contenders.MOST,
            logits.length);
    final float[][] words = data.readFloats(results, logits.length, LONGEST, LONGEST);
    return Arrays.stream(words)
        .map(row -> IntStream.range(0, LONGEST).map(i -> Float.floatToRawIntBits(row[i])).toArray())
        .toArray(int[][]::new);
  }
}
