/** What an operator looks at: the meters of engine, processor and Streams, for Prometheus. */
package dev.sarathi.streams.metrics;
