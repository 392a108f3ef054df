package dev.sarathi.streams.internal;

import dev.sarathi.streams.Routed;
import java.util.function.IntFunction;
import java.util.function.Predicate;
import org.apache.kafka.common.header.Headers;

/**
 * The record by which a task that is taken up with unfinished requests makes sure that its commits
 * are checked.
 *
 * <p>What keeps a zombie from committing is that the brokers look, with the offsets of a
 * transaction, whether the committing member still is one. Streams adds the offsets of partitions
 * of which the task has processed a record since it was taken up (StreamTask.consumedOffsets,
 * 4.3.1), and the producer sends none where there are none: a transaction of a punctuator alone is
 * committed unchecked, be its task long elsewhere and generating the same tokens. So nothing is
 * written before a record has come, and this one is sent to the task's own input to that end.
 *
 * @param record makes the record for a partition of the input, routed to a sink of its topic
 * @param isFence tells such a record, of whichever incarnation, by its headers
 */
public record Fence<K, W>(IntFunction<Routed<K, W>> record, Predicate<Headers> isFence) {}
