/**
 * The inference engine: {@link dev.sarathi.runtime.GenerationEngine} continues prompts with a
 * language model in this process. It knows nothing of Kafka.
 */
package dev.sarathi.runtime;
