package dev.sarathi.streams.internal;

import dev.sarathi.streams.JobProgress;
import dev.sarathi.streams.Routed;
import java.util.List;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.apache.kafka.common.header.Headers;

/**
 * What a node knows of jobs.
 *
 * @param job the job that a record's request is part of
 * @param cancelled the job that a record without a value cancels as a whole
 * @param outlet the records that tell of a job's progress
 */
public record JobRules<K, V, W>(
    Function<V, Optional<String>> job,
    BiFunction<K, Headers, Optional<String>> cancelled,
    Function<JobProgress, List<Routed<K, W>>> outlet) {}
