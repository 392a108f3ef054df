/**
 * Text generation as a node of a Kafka Streams topology: {@link dev.sarathi.streams.Generation}
 * makes the node, {@link dev.sarathi.streams.SarathiConfig} configures the ready-made application.
 */
package dev.sarathi.streams;
