package dev.sarathi.runtime.capacity;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Optional;

/**
 * What Sarathi-Serve's paper reports of one model, trace and SLO, as far as it does.
 *
 * @param qps of Sarathi-Serve, vLLM and Orca; the last ones may be missing
 * @param overMixed the lowest and highest that Sarathi-Serve's rate over Orca's may be: the paper's
 *     figure does not always tell which label belongs to which bar
 * @param overPrefillFirst the same over vLLM's
 */
record PaperResult(
    String model,
    String trace,
    boolean strict,
    List<Double> qps,
    List<Double> overMixed,
    List<Double> overPrefillFirst) {
  private static final List<PaperResult> ALL = read();

  static Optional<PaperResult> of(final String model, final String trace, final boolean strict) {
    return ALL.stream()
        .filter(r -> r.model.equals(model) && r.trace.equals(trace) && r.strict == strict)
        .findFirst();
  }

  private static List<PaperResult> read() {
    try (InputStream json = PaperResult.class.getResourceAsStream("paper.json")) {
      return JsonMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .build()
          .readValue(json, new TypeReference<List<PaperResult>>() {});
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
