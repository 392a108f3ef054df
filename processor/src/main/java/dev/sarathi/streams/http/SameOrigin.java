package dev.sarathi.streams.http;

import com.sun.net.httpserver.Headers;
import java.net.InetAddress;
import java.net.URI;
import java.net.UnknownHostException;
import java.util.HashSet;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/**
 * Keeps other sites' pages, in the browser of somebody who may reach the endpoint, from using it.
 *
 * <ul>
 *   <li>Bound to loopback it answers only to names of this host. A page whose own name was made to
 *       lead here (DNS rebinding) would otherwise count as ours.
 *   <li>What does something (POST) must come from a page of ours, or from no browser; and be JSON,
 *       which a form of another page cannot send.
 * </ul>
 */
final class SameOrigin {
  /** Empty where the endpoint is meant for others, under names that it cannot know. */
  private final Set<String> hosts = new HashSet<>();

  SameOrigin(final InetAddress bound) {
    if (bound.isLoopbackAddress()) {
      hosts.add("localhost");
      hosts.add(normal(bound.getHostAddress()));
      try {
        hosts.add(normal(InetAddress.getLocalHost().getHostName()));
      } catch (final UnknownHostException e) {
        // Then it has no name of its own.
      }
    }
  }

  /** Why a request is not answered, if it is not. */
  Optional<Answer> refusal(final String method, final Headers headers) {
    final String host = Optional.ofNullable(headers.getFirst("Host")).orElse("");
    if (!hosts.isEmpty() && !hosts.contains(hostOf(host))) {
      return Optional.of(
          Answer.error(
              421,
              "the host is %s; valid is %s"
                  .formatted(
                      host.isEmpty() ? "missing" : host,
                      String.join(", ", hosts.stream().sorted().toList()))));
    }
    return method.equals("POST") ? refusalOfPost(host, headers) : Optional.empty();
  }

  private static Optional<Answer> refusalOfPost(final String host, final Headers headers) {
    final Optional<String> site = Optional.ofNullable(headers.getFirst("Sec-Fetch-Site"));
    final Optional<String> origin = Optional.ofNullable(headers.getFirst("Origin"));
    // Browsers tell the site where the connection can be trusted; the origin they tell always.
    final boolean ours =
        site.map("same-origin"::equals)
            .orElseGet(() -> origin.map(page -> authorityOf(page).equals(host)).orElse(true));
    if (!ours) {
      return Optional.of(
          Answer.error(
              403, "a page of %s may not do this".formatted(origin.orElse("another site"))));
    }
    final String type = Optional.ofNullable(headers.getFirst("Content-Type")).orElse("");
    return type.split(";")[0].strip().equalsIgnoreCase("application/json")
        ? Optional.empty()
        : Optional.of(
            Answer.error(
                415, "the content type is '%s'; valid is application/json".formatted(type)));
  }

  private static String authorityOf(final String origin) {
    try {
      return Optional.ofNullable(URI.create(origin).getRawAuthority()).orElse("");
    } catch (final IllegalArgumentException e) {
      return "";
    }
  }

  /** Without its port. */
  private static String hostOf(final String header) {
    return normal(header.replaceFirst(":\\d*$", ""));
  }

  private static String normal(final String host) {
    return host.replaceAll("^\\[|]$|\\.$", "").toLowerCase(Locale.ROOT);
  }
}
