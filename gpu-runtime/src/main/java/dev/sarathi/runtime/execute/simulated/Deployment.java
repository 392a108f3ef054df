package dev.sarathi.runtime.execute.simulated;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.sarathi.runtime.schedule.BatchShape;
import dev.sarathi.runtime.schedule.TokenBudget;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
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
 * @param measured whole batches, from which all times are fitted; where there are none, they are
 *     composed from the measured operators of {@code gpu}, {@code topology} and {@code linear}
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
    List<String> extrapolated,
    List<Measured> measured) {

  /** Fewer would not tell its terms apart. */
  private static final int LEAST_MEASURED = 8;

  private static final JsonMapper JSON =
      JsonMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .enable(SerializationFeature.INDENT_OUTPUT)
          .build();

  private static final List<Deployment> KNOWN = read();

  public Deployment {
    extrapolated = List.copyOf(Optional.ofNullable(extrapolated).orElse(List.of()));
    measured = List.copyOf(Optional.ofNullable(measured).orElse(List.of()));
  }

  /** How long a batch took from its start to its end. */
  public record Measured(BatchShape shape, double millis) {}

  /**
   * The deployment of which all that is known was measured on the executor at hand.
   *
   * @param tbt what is asked of P99 TBT, seconds
   */
  public static Deployment measured(
      final String name, final int kvTokens, final double tbt, final List<Measured> batches) {
    return new Deployment(
        name,
        name,
        "",
        "",
        1,
        1,
        "",
        1,
        1,
        1,
        1,
        1,
        1,
        kvTokens,
        1,
        1,
        new Targets(tbt, 5 * tbt, TokenBudget.DEFAULT_TOKENS, 2_048, 16),
        List.of("nothing: fitted to batches that were measured on this machine"),
        batches);
  }

  /**
   * Reads what {@link #write} wrote.
   *
   * @throws IllegalArgumentException if it is no profile, naming the file
   */
  public static Deployment read(final Path file) throws IOException {
    try {
      final Deployment read = JSON.readValue(file.toFile(), Deployment.class);
      if (read.name == null
          || read.measured.size() < LEAST_MEASURED
          || read.kvTokens < 1
          || read.targets == null
          || read.stages < 1) {
        throw new IllegalArgumentException(
            "%s is no profile: it needs a name, stages, kv_tokens, targets and %d measured batches"
                .formatted(file, LEAST_MEASURED));
      }
      return read;
    } catch (final JsonProcessingException e) {
      throw new IllegalArgumentException(
          "%s is no profile: %s".formatted(file, e.getOriginalMessage()), e);
    }
  }

  /** Writes it as JSON. */
  public void write(final Path file) throws IOException {
    JSON.writeValue(file.toFile(), this);
  }

  /** How many GPUs one instance has. */
  public int gpus() {
    return tensorParallel * stages;
  }

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
      return List.copyOf(JSON.readValue(json, new TypeReference<List<Deployment>>() {}));
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
