package dev.sarathi.runtime;

import java.time.Instant;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Consumer;

/**
 * One prompt and how to continue it. Values are checked when the engine is handed the request.
 *
 * @param id names the request everywhere: records, logs, the default seed
 * @param prompt what to continue
 * @param truncatePrompt keep only so many of the prompt's last tokens, and its beginning-of-text
 *     token if it has one; 0 for as many as the context holds beside {@code maxTokens}; when
 *     absent, a prompt too long is refused
 * @param sampling how each token is drawn
 * @param choices how many continuations to generate, 1 to {@value #MAX_CHOICES}
 * @param logprobs with each token its log-probability, and those of so many of the likeliest tokens
 *     at its place, 0 to {@value #MAX_LOGPROBS}
 * @param promptLogprobs the same for the prompt's tokens
 * @param maxTokens how many tokens to generate at most for each choice; when absent, or when the
 *     context has less room, as many as the context holds
 * @param stop strings that end a choice; no part of one is ever emitted as text
 * @param stopTokens token ids that end a choice, as the model's own end does
 * @param ignoreEos whether to go on when the model says that it is done
 * @param priority its class
 * @param tenant on whose behalf; tenants share the engine fairly
 * @param deadline when to give up, if ever
 */
public record GenerationRequest(
    String id,
    Prompt prompt,
    OptionalInt truncatePrompt,
    Sampling sampling,
    int choices,
    OptionalInt logprobs,
    OptionalInt promptLogprobs,
    OptionalInt maxTokens,
    List<String> stop,
    Set<Integer> stopTokens,
    boolean ignoreEos,
    Priority priority,
    String tenant,
    Optional<Instant> deadline) {

  public static final int MAX_CHOICES = 128;
  public static final int MAX_LOGPROBS = 20;

  public GenerationRequest {
    Objects.requireNonNull(id, "id");
    Objects.requireNonNull(prompt, "prompt");
    Objects.requireNonNull(truncatePrompt, "truncatePrompt");
    Objects.requireNonNull(sampling, "sampling");
    Objects.requireNonNull(logprobs, "logprobs");
    Objects.requireNonNull(promptLogprobs, "promptLogprobs");
    Objects.requireNonNull(maxTokens, "maxTokens");
    Objects.requireNonNull(priority, "priority");
    Objects.requireNonNull(tenant, "tenant");
    Objects.requireNonNull(deadline, "deadline");
    stop = List.copyOf(stop);
    stopTokens = Set.copyOf(stopTokens);
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
        OptionalInt.empty(),
        Sampling.GREEDY,
        1,
        OptionalInt.empty(),
        OptionalInt.empty(),
        OptionalInt.empty(),
        List.of(),
        Set.of(),
        false,
        Priority.INTERACTIVE,
        "",
        Optional.empty());
  }

  public GenerationRequest withTruncatedPrompt(final int value) {
    return changed(draft -> draft.truncatePrompt = OptionalInt.of(value));
  }

  public GenerationRequest withSampling(final Sampling value) {
    return changed(draft -> draft.sampling = value);
  }

  public GenerationRequest withChoices(final int value) {
    return changed(draft -> draft.choices = value);
  }

  public GenerationRequest withLogprobs(final int value) {
    return changed(draft -> draft.logprobs = OptionalInt.of(value));
  }

  public GenerationRequest withPromptLogprobs(final int value) {
    return changed(draft -> draft.promptLogprobs = OptionalInt.of(value));
  }

  public GenerationRequest withMaxTokens(final int value) {
    return changed(draft -> draft.maxTokens = OptionalInt.of(value));
  }

  public GenerationRequest withStop(final List<String> value) {
    return changed(draft -> draft.stop = value);
  }

  public GenerationRequest withStopTokens(final Set<Integer> value) {
    return changed(draft -> draft.stopTokens = value);
  }

  public GenerationRequest withIgnoreEos(final boolean value) {
    return changed(draft -> draft.ignoreEos = value);
  }

  public GenerationRequest withPriority(final Priority value) {
    return changed(draft -> draft.priority = value);
  }

  public GenerationRequest withTenant(final String value) {
    return changed(draft -> draft.tenant = value);
  }

  public GenerationRequest withDeadline(final Instant value) {
    return changed(draft -> draft.deadline = Optional.of(value));
  }

  /** Checks what can be checked without a model. */
  void validate() {
    if (id.isEmpty()) {
      throw new InvalidRequestException("id", "is empty");
    }
    sampling.validate();
    check("n", choices, 1, MAX_CHOICES);
    check("logprobs", logprobs.orElse(0), 0, MAX_LOGPROBS);
    check("prompt_logprobs", promptLogprobs.orElse(0), 0, MAX_LOGPROBS);
    check("max_tokens", maxTokens.orElse(1), 1, Integer.MAX_VALUE);
    check("truncate_prompt_tokens", truncatePrompt.orElse(0), 0, Integer.MAX_VALUE);
    if (stop.contains("")) {
      throw new InvalidRequestException("stop", "holds an empty string, which would stop at once");
    }
  }

  private static void check(final String field, final int value, final int min, final int max) {
    if (value < min) {
      throw new InvalidRequestException(field, value + " is less than " + min);
    }
    if (value > max) {
      throw new InvalidRequestException(field, value + " is more than " + max);
    }
  }

  private GenerationRequest changed(final Consumer<Draft> change) {
    final Draft draft = new Draft(this);
    change.accept(draft);
    return draft.request();
  }

  /** A request of which one value is being changed. */
  private static final class Draft {
    private final String id;
    private final Prompt prompt;
    private OptionalInt truncatePrompt;
    private Sampling sampling;
    private int choices;
    private OptionalInt logprobs;
    private OptionalInt promptLogprobs;
    private OptionalInt maxTokens;
    private List<String> stop;
    private Set<Integer> stopTokens;
    private boolean ignoreEos;
    private Priority priority;
    private String tenant;
    private Optional<Instant> deadline;

    private Draft(final GenerationRequest from) {
      id = from.id;
      prompt = from.prompt;
      truncatePrompt = from.truncatePrompt;
      sampling = from.sampling;
      choices = from.choices;
      logprobs = from.logprobs;
      promptLogprobs = from.promptLogprobs;
      maxTokens = from.maxTokens;
      stop = from.stop;
      stopTokens = from.stopTokens;
      ignoreEos = from.ignoreEos;
      priority = from.priority;
      tenant = from.tenant;
      deadline = from.deadline;
    }

    private GenerationRequest request() {
      return new GenerationRequest(
          id,
          prompt,
          truncatePrompt,
          sampling,
          choices,
          logprobs,
          promptLogprobs,
          maxTokens,
          stop,
          stopTokens,
          ignoreEos,
          priority,
          tenant,
          deadline);
    }
  }
}
