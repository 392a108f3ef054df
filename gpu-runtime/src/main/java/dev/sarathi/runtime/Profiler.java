package dev.sarathi.runtime;

import dev.sarathi.runtime.execute.Calibration;
import dev.sarathi.runtime.execute.Executor;
import dev.sarathi.runtime.execute.simulated.Deployment;
import dev.sarathi.runtime.schedule.BatchShape;
import dev.sarathi.runtime.schedule.TokenBudget;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** Measures the executor at hand, so that it can be simulated. */
public final class Profiler {
  /** Of the first rounds the shortest counts: what disturbs a batch only makes it longer. */
  private static final int ROUNDS = 3;

  /** The paper's strict SLO: five decode iterations of 32 sequences. */
  private static final int STRICT = 5;

  private Profiler() {}

  /**
   * Loads the model, computes batches of many shapes and frees it.
   *
   * @param config the engine that is to be profiled
   * @param limit of one round, of which there are three
   * @return a deployment of one such machine, by what was measured
   */
  public static Deployment profile(final EngineConfig config, final Duration limit) {
    final LoadedModel model = LoadedModel.open(config);
    try {
      final Executor executor = model.executor();
      new WarmUp(executor, model.contextLength()).run(config.warmUp(), () -> false);
      final List<Deployment.Measured> shortest = new ArrayList<>();
      for (int round = 0; round < ROUNDS; round++) {
        final List<Deployment.Measured> measured = new ArrayList<>();
        new Calibration(executor, model.contextLength(), TokenBudget.Adaptive.MOST_TOKENS)
            .run(
                limit.toNanos(),
                () -> false,
                (batch, nanos) ->
                    measured.add(new Deployment.Measured(BatchShape.of(batch), nanos / 1e6)));
        for (int i = 0; i < measured.size(); i++) {
          if (i == shortest.size()) {
            shortest.add(measured.get(i));
          } else if (measured.get(i).millis() < shortest.get(i).millis()) {
            shortest.set(i, measured.get(i));
          }
        }
      }
      final double decodes =
          shortest.stream()
              .filter(m -> m.shape().decodes() == 32)
              .mapToDouble(Deployment.Measured::millis)
              .max()
              .orElse(shortest.getLast().millis());
      return Deployment.measured(
          model.name() + " on " + executor.limits().numericsId(),
          executor.limits().kvBlocks() * executor.limits().blockTokens(),
          STRICT * decodes / 1e3,
          shortest);
    } finally {
      model.close();
    }
  }
}
