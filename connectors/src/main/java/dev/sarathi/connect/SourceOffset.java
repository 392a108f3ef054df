package dev.sarathi.connect;

import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.connect.errors.ConnectException;

/**
 * How far a file was sent.
 *
 * @param fingerprint of the file; of another the offset says nothing
 * @param position the bytes before the next line
 * @param line the lines before it
 */
record SourceOffset(String fingerprint, long position, long line) {
  private static final String FILE = "file";
  private static final String FINGERPRINT = "fingerprint";
  private static final String POSITION = "position";
  private static final String LINE = "line";

  static Map<String, String> partition(final String file) {
    return Map.of(FILE, file);
  }

  Map<String, Object> toMap() {
    return Map.of(FINGERPRINT, fingerprint, POSITION, position, LINE, line);
  }

  /** Empty where nothing is stored. */
  static Optional<SourceOffset> of(final Map<String, ?> stored) {
    return stored == null
        ? Optional.empty()
        : Optional.of(
            new SourceOffset(
                (String) stored.get(FINGERPRINT),
                ((Number) stored.get(POSITION)).longValue(),
                ((Number) stored.get(LINE)).longValue()));
  }

  /**
   * @throws ConnectException if these are not what the connector stores, saying what that is
   */
  static void validate(final Map<String, ?> partition, final Map<String, ?> offset) {
    if (partition == null
        || !partition.keySet().equals(Set.of(FILE))
        || !(partition.get(FILE) instanceof String)) {
      throw new ConnectException(
          "The partition " + partition + " is not of this connector; valid is {\"file\": NAME}");
    }
    if (offset == null) {
      return;
    }
    if (!offset.keySet().equals(Set.of(FINGERPRINT, POSITION, LINE))
        || !(offset.get(FINGERPRINT) instanceof String)
        || !isCount(offset.get(POSITION))
        || !isCount(offset.get(LINE))) {
      throw new ConnectException(
          "The offset "
              + offset
              + " is not of this connector; valid is {\"fingerprint\": TEXT, \"position\": BYTES,"
              + " \"line\": LINES} with whole numbers from 0, or null to read the file again");
    }
  }

  private static boolean isCount(final Object value) {
    return (value instanceof Integer || value instanceof Long) && ((Number) value).longValue() >= 0;
  }
}
