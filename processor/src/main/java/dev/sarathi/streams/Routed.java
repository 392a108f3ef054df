package dev.sarathi.streams;

import java.util.Optional;
import org.apache.kafka.streams.processor.api.Record;

/**
 * An output record and where it goes.
 *
 * @param <K> its key
 * @param <V> its value
 * @param record the record; a node forwards it as it is
 * @param child the name of one child node; absent for all children
 */
public record Routed<K, V>(Record<K, V> record, Optional<String> child) {}
