package dev.sarathi.connect;

import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.batch.DurableFile;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.common.TopicPartition;

/**
 * Every completion as a JSON line. A file holds what came from a partition between two commits.
 *
 * <p>What begins again at an offset, after a crash, a rebalance or an altered offset, replaces all
 * files from that offset on. Commits lie at the ends of files, so that no line is there twice.
 */
final class BareCompletions implements Results {
  private record Part(long offset, StringBuilder lines) {}

  private final Path directory;
  private final Map<TopicPartition, Part> waiting = new HashMap<>();
  private final Map<TopicPartition, Long> nextOffsets = new HashMap<>();
  private long held;

  BareCompletions(final Path directory) {
    this.directory = directory;
  }

  @Override
  public void add(final TopicPartition partition, final long offset, final Completion completion)
      throws IOException {
    final Part part = waiting.get(partition);
    final Long next = nextOffsets.get(partition);
    if (next != null && part != null && part.offset() <= offset && offset < next) {
      return; // Put again, after something had failed in between.
    }
    if (next == null || offset < next) {
      deleteFrom(partition, offset);
      waiting.remove(partition);
    }
    nextOffsets.put(partition, offset + 1);
    final String line = completion.toString();
    waiting
        .computeIfAbsent(partition, p -> new Part(offset, new StringBuilder()))
        .lines()
        .append(line)
        .append('\n');
    held += line.length();
  }

  @Override
  public long held() {
    return held;
  }

  @Override
  public void flush() throws IOException {
    Files.createDirectories(directory);
    for (final Map.Entry<TopicPartition, Part> entry : waiting.entrySet()) {
      final Part part = entry.getValue();
      final PartName name = new PartName(entry.getKey(), part.offset());
      DurableFile.write(directory.resolve(name.fileName()), part.lines().toString());
    }
    waiting.clear();
    held = 0;
  }

  @Override
  public void forget(final Collection<TopicPartition> partitions) {
    waiting.keySet().removeAll(partitions);
    nextOffsets.keySet().removeAll(partitions);
    held = waiting.values().stream().mapToLong(part -> part.lines().length()).sum();
  }

  private void deleteFrom(final TopicPartition partition, final long offset) throws IOException {
    if (!Files.isDirectory(directory)) {
      return;
    }
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, "*.jsonl")) {
      for (final Path file : files) {
        final Optional<PartName> name = PartName.parse(file.getFileName().toString());
        if (name.filter(n -> n.partition().equals(partition) && n.offset() >= offset).isPresent()) {
          Files.deleteIfExists(file);
        }
      }
    }
  }
}
