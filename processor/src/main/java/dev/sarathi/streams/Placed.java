package dev.sarathi.streams;

import java.util.Optional;
import org.apache.kafka.streams.processor.api.RecordMetadata;

/**
 * A value that knows where it was read from. A record that is forwarded later than it was read, by
 * a punctuator, has no place of its own in Streams' eyes.
 */
public interface Placed {
  /** {@return the place; empty for that of the record being processed} */
  Optional<RecordMetadata> place();
}
