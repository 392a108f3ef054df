package dev.sarathi.schemas.batch;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A file of requests, as {@code job_id} names it in every request and result: {@code
 * FINGERPRINT/LINES/FILE}. The sink may run on another machine than the source and learns from it
 * alone what belongs together and when it is complete.
 *
 * <p>In the record, not in headers: a worker's header converter turns a text that looks like a
 * number or a date into one, and so alters names.
 *
 * @param fingerprint identifies the file's name and content: {@link BatchFile#fingerprint}
 * @param lines its lines that are not blank
 * @param file its name, without a directory
 */
public record BatchJob(String fingerprint, int lines, String file) {
  private static final Pattern FORM =
      Pattern.compile("([0-9a-f]{32})/([1-9][0-9]{0,8})/([^/\\\\\\p{Cntrl}]+)");

  /** Empty where the id is not of a batch file, or names a file in some other directory. */
  public static Optional<BatchJob> parse(final String jobId) {
    final Matcher matcher = FORM.matcher(jobId);
    return matcher.matches()
        ? Optional.of(
            new BatchJob(matcher.group(1), Integer.parseInt(matcher.group(2)), matcher.group(3)))
        : Optional.empty();
  }

  public String id() {
    return fingerprint + "/" + lines + "/" + file;
  }
}
