package dev.sarathi.schemas.batch;

import java.util.Arrays;
import java.util.Optional;

/** What a line asks for, and so how its result is written. */
public enum Endpoint {
  CHAT("/v1/chat/completions", "chat"),
  TEXT("/v1/completions", "text"),
  /** A line that does not say, or not clearly. */
  NONE("", "none");

  private final String url;
  private final String label;

  Endpoint(final String url, final String label) {
    this.url = url;
    this.label = label;
  }

  public String url() {
    return url;
  }

  /** Its name in a request's id. */
  String label() {
    return label;
  }

  static Optional<Endpoint> ofUrl(final String url) {
    return Arrays.stream(values())
        .filter(endpoint -> endpoint != NONE && endpoint.url.equals(url))
        .findFirst();
  }

  static Optional<Endpoint> ofLabel(final String label) {
    return Arrays.stream(values()).filter(endpoint -> endpoint.label.equals(label)).findFirst();
  }
}
