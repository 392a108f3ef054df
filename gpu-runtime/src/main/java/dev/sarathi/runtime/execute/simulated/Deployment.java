package dev.sarathi.runtime.execute.simulated;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.stream.Collectors;

/**
 * A model on GPUs whose times are known, measured or scaled from measurements.
 *
 * @param name as on command lines
 * @param title for people
 * @param gpu whose linear operators were measured
 * @param topology whose links were measured
 * @param tensorParallel GPUs that share each layer
 * @param stages of the pipeline, each with an equal part of the layers
 * @param linear the model whose linear operators were measured
 * @param linearScale by which their time is multiplied
 * @param hidden elements that a position has between layers, of two bytes
 * @param kvTokens how many positions fit into the KV cache
 * @param decodeSpeed how much faster attention of decodes is than an A100's
 * @param prefillSpeed how much faster attention of prefill is than an A100's
 * @param extrapolated what was scaled or taken from elsewhere
 */
public record Deployment(
    String name,
    String title,
    String gpu,
    String topology,
    int tensorParallel,
    int stages,
    String linear,
    double linearScale,
    int layers,
    int hidden,
    int queryHeads,
    int kvHeads,
    int headSize,
    int kvTokens,
    double decodeSpeed,
    double prefillSpeed,
    Targets targets,
    List<String> extrapolated) {

  private static final List<Deployment> KNOWN = read();

  /**
   * What Sarathi-Serve's paper asked of it and ran it with.
   *
   * @param strictTbt P99 TBT in seconds
   * @param relaxedTbt P99 TBT in seconds
   * @param strictBudget the token budget for the strict one
   * @param relaxedBudget the token budget for the relaxed one
   * @param mixedSequences Orca's batch size; 128 for all others
   */
  public record Targets(
      double strictTbt,
      double relaxedTbt,
      int strictBudget,
      int relaxedBudget,
      int mixedSequences) {}

  /** All that are known. */
  public static List<Deployment> known() {
    return KNOWN;
  }

  /**
   * The deployment of a name.
   *
   * @throws IllegalArgumentException if there is none
   */
  public static Deployment named(final String name) {
    return KNOWN.stream()
        .filter(deployment -> deployment.name.equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "model is %s; valid is %s"
                        .formatted(
                            name,
                            KNOWN.stream()
                                .map(Deployment::name)
                                .collect(Collectors.joining(", ")))));
  }

  private static List<Deployment> read() {
    try (InputStream json = Deployment.class.getResourceAsStream("deployments.json")) {
      return List.copyOf(
          JsonMapper.builder()
              .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
              .build()
              .readValue(json, new TypeReference<List<Deployment>>() {}));
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
