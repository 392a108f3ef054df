package dev.sarathi.streams.cli;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sarathi.schemas.JobProgress;
import dev.sarathi.schemas.batch.BatchJob;
import java.time.Instant;
import java.util.Collection;
import java.util.Comparator;
import java.util.Optional;
import java.util.function.ToLongFunction;
import java.util.stream.Stream;

/** A job's numbers: the sums of what each partition of the prompts says. */
record JobTotals(
    String job,
    long waiting,
    long running,
    long stop,
    long length,
    long cancelled,
    long deadline,
    long error,
    long promptTokens,
    long completionTokens,
    Optional<Instant> started,
    Optional<Instant> finished,
    boolean cancelRequested) {

  /**
   * @param parts the newest record of each partition, at least one
   */
  static JobTotals of(final Collection<JobProgress> parts) {
    final long unfinished = sum(parts, part -> part.getWaiting() + part.getRunning());
    return new JobTotals(
        parts.iterator().next().getJobId(),
        sum(parts, JobProgress::getWaiting),
        sum(parts, JobProgress::getRunning),
        sum(parts, JobProgress::getStop),
        sum(parts, JobProgress::getLength),
        sum(parts, JobProgress::getCancelled),
        sum(parts, JobProgress::getDeadline),
        sum(parts, JobProgress::getError),
        sum(parts, JobProgress::getPromptTokens),
        sum(parts, JobProgress::getCompletionTokens),
        times(parts).min(Comparator.naturalOrder()),
        unfinished > 0
            ? Optional.empty()
            : parts.stream()
                .flatMap(part -> part.getFinishedAt().stream())
                .max(Comparator.naturalOrder()),
        parts.stream().anyMatch(JobProgress::getCancelRequested));
  }

  private static Stream<Instant> times(final Collection<JobProgress> parts) {
    return parts.stream().flatMap(part -> part.getStartedAt().stream());
  }

  private static long sum(
      final Collection<JobProgress> parts, final ToLongFunction<JobProgress> field) {
    return parts.stream().mapToLong(field).sum();
  }

  long ended() {
    return stop + length + cancelled + deadline + error;
  }

  String state() {
    final boolean unfinished = waiting + running > 0;
    if (cancelRequested) {
      return unfinished ? "cancelling" : "cancelled";
    }
    return unfinished || ended() < total() ? "running" : "finished";
  }

  /** How many requests there will be: a batch file says so in its id, others as many as came. */
  long total() {
    final long came = waiting + running + ended();
    return BatchJob.parse(job).map(file -> Math.max(came, file.lines())).orElse(came);
  }

  ObjectNode json() {
    return JsonNodeFactory.instance
        .objectNode()
        .put("job_id", job)
        .put("state", state())
        .put("waiting", waiting)
        .put("running", running)
        .put("stop", stop)
        .put("length", length)
        .put("cancelled", cancelled)
        .put("deadline", deadline)
        .put("error", error)
        .put("prompt_tokens", promptTokens)
        .put("completion_tokens", completionTokens)
        .put("started_at", started.map(Instant::toString).orElse(null))
        .put("finished_at", finished.map(Instant::toString).orElse(null));
  }
}
