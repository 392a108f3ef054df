package dev.sarathi.runtime;

import java.time.Instant;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * One prompt and how to continue it. Values are checked when the engine is handed the request.
 *
 * @param id names the request everywhere: records, logs, the default seed
 * @param prompt what to continue
 * @param sampling how each token is drawn
 * @param maxTokens how many tokens to generate at most; when absent, or when the context has less
 *     room, as many as the context holds
 * @param stop strings that end the generation; no part of one is ever emitted as text
 * @param ignoreEos whether to go on when the model says that it is done
 * @param priority its class
 * @param deadline when to give up, if ever
 * @param tenant on whose behalf; the engine is shared fairly among tenants
 */
public record GenerationRequest(
    String id,
    Prompt prompt,
    Sampling sampling,
    OptionalInt maxTokens,
    List<String> stop,
    boolean ignoreEos,
    Priority priority,
    Optional<Instant> deadline,
    String tenant) {

  public GenerationRequest {
    Objects.requireNonNull(id, "id");
    Objects.requireNonNull(prompt, "prompt");
    Objects.requireNonNull(sampling, "sampling");
    Objects.requireNonNull(maxTokens, "maxTokens");
    Objects.requireNonNull(priority, "priority");
    Objects.requireNonNull(deadline, "deadline");
    Objects.requireNonNull(tenant, "tenant");
    stop = List.copyOf(stop);
  }

  /** A request of no particular tenant. */
  public GenerationRequest(
      final String id,
      final Prompt prompt,
      final Sampling sampling,
      final OptionalInt maxTokens,
      final List<String> stop,
      final boolean ignoreEos,
      final Priority priority,
      final Optional<Instant> deadline) {
    this(id, prompt, sampling, maxTokens, stop, ignoreEos, priority, deadline, "");
  }

  /** A greedy continuation of a text, interactive, without a deadline. */
  public static GenerationRequest of(final String id, final String text) {
    return of(id, new Prompt.Text(text));
  }

  /** A greedy continuation of a prompt, interactive, without a deadline. */
  public static GenerationRequest of(final String id, final Prompt prompt) {
    return new GenerationRequest(
        id,
        prompt,
        Sampling.GREEDY,
        OptionalInt.empty(),
        List.of(),
        false,
        Priority.INTERACTIVE,
        Optional.empty());
  }

  public GenerationRequest withSampling(final Sampling value) {
    return new GenerationRequest(
        id, prompt, value, maxTokens, stop, ignoreEos, priority, deadline, tenant);
  }

  public GenerationRequest withMaxTokens(final int value) {
    return new GenerationRequest(
        id, prompt, sampling, OptionalInt.of(value), stop, ignoreEos, priority, deadline, tenant);
  }

  public GenerationRequest withStop(final List<String> value) {
    return new GenerationRequest(
        id, prompt, sampling, maxTokens, value, ignoreEos, priority, deadline, tenant);
  }

  public GenerationRequest withIgnoreEos(final boolean value) {
    return new GenerationRequest(
        id, prompt, sampling, maxTokens, stop, value, priority, deadline, tenant);
  }

  public GenerationRequest withPriority(final Priority value) {
    return new GenerationRequest(
        id, prompt, sampling, maxTokens, stop, ignoreEos, value, deadline, tenant);
  }

  public GenerationRequest withDeadline(final Instant value) {
    return new GenerationRequest(
        id, prompt, sampling, maxTokens, stop, ignoreEos, priority, Optional.of(value), tenant);
  }

  public GenerationRequest withTenant(final String value) {
    return new GenerationRequest(
        id, prompt, sampling, maxTokens, stop, ignoreEos, priority, deadline, value);
  }
}
