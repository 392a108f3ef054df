package dev.sarathi.streams.replay;

import java.util.Map;

/**
 * What is replayed, and how.
 *
 * @param properties the application's
 * @param overrides settings of the replay that differ from them
 * @param from the first prompt
 * @param to behind the last prompt
 * @param sample the most generations to replay; the same ones each time
 * @param instances applications that share the work, each with an engine of its own
 * @param keep whether the shadow topics stay
 */
public record ReplayOptions(
    Map<String, ?> properties,
    Map<String, ?> overrides,
    Place from,
    Place to,
    int sample,
    int instances,
    boolean keep) {
  public ReplayOptions {
    if (sample < 1) {
      throw new IllegalArgumentException("a sample of " + sample + "; valid is 1 or more");
    }
    if (instances < 1) {
      throw new IllegalArgumentException(instances + " instances; valid is 1 or more");
    }
  }
}
