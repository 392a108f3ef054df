package dev.sarathi.runtime.benchmark;

import dev.sarathi.runtime.capacity.Arrivals;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** Long prompts among short ones, and when each arrives; in order of arrival. */
public record ServingLoad(List<Arrival> arrivals) {
  /** One prompt of so many is long. */
  private static final int LONG = 6;

  private static final int SHORTEST = 64;
  private static final int LONGEST_OF_SHORT = 256;

  /**
   * A request.
   *
   * @param at seconds from the start
   * @param prompt tokens
   * @param output tokens
   */
  public record Arrival(double at, int prompt, int output) {}

  public ServingLoad {
    arrivals = List.copyOf(arrivals);
  }

  /**
   * A Poisson process; the same numbers give the same load everywhere.
   *
   * @param requests how many
   * @param rate requests a second
   * @param longPrompt tokens of a long prompt
   * @param output tokens of each answer
   */
  public static ServingLoad poisson(
      final int requests, final double rate, final int longPrompt, final int output) {
    if (requests < 1 || !(rate > 0) || longPrompt < 1 || output < 2) {
      throw new IllegalArgumentException(
          ("%d requests at %s/s, long prompts of %d tokens, outputs of %d; valid is 1 or more at"
                  + " above 0, 1 or more, 2 or more")
              .formatted(requests, rate, longPrompt, output));
    }
    final double[] gaps = Arrivals.POISSON.gaps(requests);
    final int[] prompts = prompts(requests, longPrompt);
    final List<Arrival> arrivals = new ArrayList<>();
    double at = 0;
    for (int i = 0; i < requests; i++) {
      at += i == 0 ? 0 : gaps[i] / rate;
      arrivals.add(new Arrival(at, prompts[i], output));
    }
    return new ServingLoad(arrivals);
  }

  /** What the prompts of a load have on average, whatever its rate. */
  public static double meanPrompt(final int requests, final int longPrompt) {
    return Arrays.stream(prompts(requests, longPrompt)).average().orElseThrow();
  }

  private static int[] prompts(final int requests, final int longPrompt) {
    final Random random = new Random(0);
    final int[] prompts = new int[requests];
    for (int i = 0; i < requests; i++) {
      final int drawn = random.nextInt(SHORTEST, LONGEST_OF_SHORT + 1);
      prompts[i] = i % LONG == LONG / 2 ? longPrompt : Math.min(drawn, longPrompt);
    }
    return prompts;
  }

  /** The longest sequence. */
  int context() {
    return arrivals.stream().mapToInt(a -> a.prompt + a.output).max().orElseThrow();
  }

  /** All sequences together. */
  int tokens() {
    return arrivals.stream().mapToInt(a -> a.prompt + a.output).sum();
  }
}
