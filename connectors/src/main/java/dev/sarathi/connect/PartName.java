package dev.sarathi.connect;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.common.TopicPartition;

/**
 * The name of a file that holds what came from a partition from an offset on: written again after a
 * replay it takes the place of what was written before.
 */
record PartName(TopicPartition partition, long offset) {
  private static final Pattern FORM = Pattern.compile("(.+)-(\\d{1,9})-(\\d{1,19})\\.jsonl");

  static Optional<PartName> parse(final String fileName) {
    final Matcher matcher = FORM.matcher(fileName);
    return matcher.matches()
        ? Optional.of(
            new PartName(
                new TopicPartition(matcher.group(1), Integer.parseInt(matcher.group(2))),
                Long.parseLong(matcher.group(3))))
        : Optional.empty();
  }

  String fileName() {
    return "%s-%d-%019d.jsonl".formatted(partition.topic(), partition.partition(), offset);
  }
}
