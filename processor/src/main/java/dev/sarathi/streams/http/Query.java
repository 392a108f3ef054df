package dev.sarathi.streams.http;

import java.util.Map;
import java.util.Optional;

/**
 * A request to a route.
 *
 * @param path what stands in the places of the route's pattern, by their names
 * @param parameters those of the query string; the last of each name
 * @param body empty but for POST
 */
public record Query(Map<String, String> path, Map<String, String> parameters, byte[] body) {
  /** A parameter, if it was given and is not empty. */
  public Optional<String> parameter(final String name) {
    return Optional.ofNullable(parameters.get(name)).filter(value -> !value.isEmpty());
  }
}
