package dev.sarathi.connect;

import dev.sarathi.schemas.Completion;
import java.io.IOException;
import java.util.Collection;
import org.apache.kafka.common.TopicPartition;

/** What a task has been given and not yet written, in one of the formats. */
interface Results {
  /** A completion and where it came from; of a partition they come in order, until a replay. */
  void add(TopicPartition partition, long offset, Completion completion) throws IOException;

  /** How many characters wait to be written. */
  long held();

  /** Writes all that waits. After it the offsets may be committed. */
  void flush() throws IOException;

  /** Forgets what waits of these partitions: it will come again, here or elsewhere. */
  void forget(Collection<TopicPartition> partitions);
}
