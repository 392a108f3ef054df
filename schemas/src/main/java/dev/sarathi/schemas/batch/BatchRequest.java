package dev.sarathi.schemas.batch;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A line of a file of requests, as {@code request_id} names it: {@code
 * FINGERPRINT/LINE/ENDPOINT/CUSTOM_ID}. The same file read again has the same ids, which the
 * processor then drops.
 *
 * @param fingerprint of the file
 * @param line its number, from 1
 * @param endpoint what it asks for
 * @param customId the user's name for it; empty where the line has none
 */
public record BatchRequest(String fingerprint, int line, Endpoint endpoint, String customId) {
  private static final Pattern FORM =
      Pattern.compile("([0-9a-f]{32})/([1-9][0-9]{0,8})/([a-z]+)/(.*)", Pattern.DOTALL);

  /** Empty where the id is not of a line of a file. */
  public static Optional<BatchRequest> parse(final String requestId) {
    final Matcher matcher = FORM.matcher(requestId);
    if (!matcher.matches()) {
      return Optional.empty();
    }
    return Endpoint.ofLabel(matcher.group(3))
        .map(
            endpoint ->
                new BatchRequest(
                    matcher.group(1),
                    Integer.parseInt(matcher.group(2)),
                    endpoint,
                    matcher.group(4)));
  }

  public String id() {
    return fingerprint + "/" + line + "/" + endpoint.label() + "/" + customId;
  }
}
