/**
 * The inference engine: {@link dev.sarathi.runtime.GenerationEngine} continues prompts with a
 * language model in this process. It knows nothing of Kafka.
 *
 * <p>An {@link dev.sarathi.runtime.EngineConfig} says how an engine is built, a {@link
 * dev.sarathi.runtime.GenerationRequest} what to generate; a {@link
 * dev.sarathi.runtime.TokenListener} takes the tokens as they come.
 *
 * <pre>{@code
 * try (GenerationEngine engine =
 *     GenerationEngine.start(EngineConfig.of(Path.of("models/storyteller")))) {
 *   GenerationHandle handle =
 *       engine.submit(
 *           GenerationRequest.of("story-1", "Once upon a time").withMaxTokens(100),
 *           listener); // called on the engine's thread; it must not block
 *   …
 *   handle.cancel();
 * }
 * }</pre>
 *
 * <p>Tests of what is around an engine use {@code TestEngine}, of the artifact with the classifier
 * {@code test-fixtures}, which needs no model.
 */
package dev.sarathi.runtime;
