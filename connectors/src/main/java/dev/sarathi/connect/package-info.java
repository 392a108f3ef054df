/**
 * Kafka Connect plugins for bulk jobs: files of requests in, files of results out.
 *
 * <p>{@link dev.sarathi.connect.BatchFileSourceConnector} reads OpenAI batch files into prompt
 * requests, {@link dev.sarathi.connect.BatchFileSinkConnector} writes completions into result
 * files, and {@link dev.sarathi.connect.ContractConverter} is between them and the topics.
 */
package dev.sarathi.connect;
