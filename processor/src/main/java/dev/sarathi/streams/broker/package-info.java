/**
 * A Kafka broker for development and tests, in a JVM of its own so that it can be killed.
 *
 * <p>{@link dev.sarathi.streams.broker.DevelopmentBroker} starts it, waits until it answers, and
 * leaves no process behind. It is for one machine: no replication, no security, small caches.
 */
package dev.sarathi.streams.broker;
