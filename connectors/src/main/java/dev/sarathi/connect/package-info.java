/** Kafka Connect plugins: OpenAI batch files in, results out. None yet. */
package dev.sarathi.connect;
