package dev.sarathi.streams.http;

import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * Finds who answers a path. A pattern such as <code>/requests/{id}</code> has names for the
 * segments that vary.
 */
public final class Router {
  private final List<Route> routes = new ArrayList<>();

  private record Route(List<String> pattern, Function<Query, Answer> handler) {
    private Optional<Map<String, String>> match(final List<String> segments) {
      if (segments.size() != pattern.size()) {
        return Optional.empty();
      }
      final Map<String, String> places = new HashMap<>();
      for (int i = 0; i < segments.size(); i++) {
        final String expected = pattern.get(i);
        if (expected.startsWith("{")) {
          places.put(expected.substring(1, expected.length() - 1), segments.get(i));
        } else if (!expected.equals(segments.get(i))) {
          return Optional.empty();
        }
      }
      return Optional.of(places);
    }
  }

  /** Adds a route; the first that matches answers. */
  public Router get(final String pattern, final Function<Query, Answer> handler) {
    routes.add(new Route(segments(pattern), handler));
    return this;
  }

  Answer answer(final String method, final URI uri) {
    final List<String> segments;
    final Map<String, String> parameters;
    try {
      segments = segments(uri.getRawPath());
      parameters = parameters(uri.getRawQuery());
    } catch (final IllegalArgumentException e) {
      return Answer.error(400, "the address cannot be read: " + e.getMessage());
    }
    for (final Route route : routes) {
      final Optional<Map<String, String>> places = route.match(segments);
      if (places.isPresent()) {
        return method.equals("GET") || method.equals("HEAD")
            ? route.handler().apply(new Query(places.get(), parameters))
            : Answer.error(405, method + " is not answered here; valid is GET");
      }
    }
    return Answer.error(404, "there is nothing at " + uri.getPath());
  }

  private static List<String> segments(final String path) {
    final List<String> segments = new ArrayList<>();
    for (final String segment : path.split("/")) {
      if (!segment.isEmpty()) {
        // A plus is itself in a path.
        segments.add(decode(segment.replace("+", "%2B")));
      }
    }
    return segments;
  }

  private static Map<String, String> parameters(final String query) {
    final Map<String, String> parameters = new HashMap<>();
    if (query != null) {
      for (final String parameter : query.split("&")) {
        final int equals = parameter.indexOf('=');
        parameters.put(
            decode(equals < 0 ? parameter : parameter.substring(0, equals)),
            equals < 0 ? "" : decode(parameter.substring(equals + 1)));
      }
    }
    return parameters;
  }

  private static String decode(final String text) {
    return URLDecoder.decode(text, StandardCharsets.UTF_8);
  }
}
