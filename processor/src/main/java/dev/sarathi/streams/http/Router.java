package dev.sarathi.streams.http;

import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;

/**
 * Finds who answers a path. A pattern such as <code>/requests/{id}</code> has names for the
 * segments that vary.
 */
public final class Router {
  private final List<Route> routes = new ArrayList<>();

  private record Route(String method, List<String> pattern, Function<Query, Answer> handler) {
    private boolean takes(final String other) {
      return method.equals(other.equals("HEAD") ? "GET" : other);
    }

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

  /** Adds a route that reads; the first that matches answers. */
  public Router get(final String pattern, final Function<Query, Answer> handler) {
    routes.add(new Route("GET", segments(pattern), handler));
    return this;
  }

  /** Adds a route that does something; its query has a body. */
  public Router post(final String pattern, final Function<Query, Answer> handler) {
    routes.add(new Route("POST", segments(pattern), handler));
    return this;
  }

  Answer answer(final String method, final URI uri, final byte[] body) {
    final List<String> segments;
    final Map<String, String> parameters;
    try {
      segments = segments(uri.getRawPath());
      parameters = parameters(uri.getRawQuery());
    } catch (final IllegalArgumentException e) {
      return Answer.error(400, "the address cannot be read: " + e.getMessage());
    }
    final Set<String> valid = new TreeSet<>();
    for (final Route route : routes) {
      final Optional<Map<String, String>> places = route.match(segments);
      if (places.isPresent() && route.takes(method)) {
        return route.handler().apply(new Query(places.get(), parameters, body));
      }
      places.ifPresent(_ -> valid.add(route.method()));
    }
    return valid.isEmpty()
        ? Answer.error(404, "there is nothing at " + uri.getPath())
        : Answer.error(405, method + " is not answered here; valid is " + String.join(", ", valid));
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
