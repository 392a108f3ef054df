package dev.sarathi.connect;

import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.batch.BatchJob;
import dev.sarathi.schemas.batch.BatchRequest;
import dev.sarathi.schemas.batch.ResultLine;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.common.TopicPartition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Results of batch files, by job. Completions of other requests in the topic are passed over. */
final class BatchResults implements Results {
  private static final Logger log = LoggerFactory.getLogger(BatchResults.class);

  private record Source(BatchJob job, TopicPartition partition) {}

  private record Part(long offset, List<ResultLine> lines) {}

  private final Path directory;
  private final Map<Source, Part> waiting = new HashMap<>();
  private final Map<BatchJob, JobFolder> folders = new HashMap<>();
  private final Set<BatchJob> written = new HashSet<>();
  private long held;

  BatchResults(final Path directory) {
    this.directory = directory;
  }

  @Override
  public void add(final TopicPartition partition, final long offset, final Completion completion) {
    final Optional<BatchJob> job = completion.getJobId().flatMap(BatchJob::parse);
    final Optional<BatchRequest> request =
        BatchRequest.parse(completion.getRequestId())
            .filter(r -> job.filter(j -> j.fingerprint().equals(r.fingerprint())).isPresent());
    if (job.isEmpty() || request.isEmpty()) {
      log.debug("{} is no request of a batch file", completion.getRequestId());
      return;
    }
    final ResultLine line = ResultLine.of(request.get(), completion);
    waiting
        .computeIfAbsent(
            new Source(job.get(), partition), source -> new Part(offset, new ArrayList<>()))
        .lines()
        .add(line);
    held += line.json().length();
  }

  @Override
  public long held() {
    return held;
  }

  @Override
  public void flush() throws IOException {
    for (final Map.Entry<Source, Part> entry : waiting.entrySet()) {
      final Source source = entry.getKey();
      final Part part = entry.getValue();
      folder(source.job()).write(new PartName(source.partition(), part.offset()), part.lines());
      written.add(source.job());
    }
    waiting.clear();
    held = 0;
    for (final BatchJob job : Set.copyOf(written)) {
      if (folder(job).finish()) {
        folders.remove(job);
      }
      written.remove(job);
    }
  }

  @Override
  public void forget(final Collection<TopicPartition> partitions) {
    waiting.keySet().removeIf(source -> partitions.contains(source.partition()));
    held =
        waiting.values().stream()
            .flatMap(part -> part.lines().stream())
            .mapToLong(line -> line.json().length())
            .sum();
  }

  private JobFolder folder(final BatchJob job) {
    return folders.computeIfAbsent(job, j -> new JobFolder(directory, j));
  }
}
