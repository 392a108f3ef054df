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
 * @param constraint what the text of each choice must be, if it is not free
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
    Optional<Instant> deadline,
    Optional<Constraint> constraint) {

  /** The most choices of one request. */
  public static final int MAX_CHOICES = 128;

  /** The most of the likeliest tokens that are reported at one place. */
  public static final int MAX_LOGPROBS = 20;

  /** Refuses nulls. Values are checked when the engine is handed the request. */
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
    Objects.requireNonNull(constraint, "constraint");
    stop = List.copyOf(stop);
    stopTokens = Set.copyOf(stopTokens);
  }

  /**
   * A greedy continuation of a text, interactive, without a deadline.
   *
   * @param id names the request
   * @param text what to continue
   * @return a request, to be changed by the methods that begin with {@code with}
   */
  public static GenerationRequest of(final String id, final String text) {
    return of(id, new Prompt.Text(text));
  }

  /**
   * A greedy continuation of a prompt, interactive, without a deadline.
   *
   * @param id names the request
   * @param prompt what to continue
   * @return a request, to be changed by the methods that begin with {@code with}
   */
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
        Optional.empty(),
        Optional.empty());
  }

  /**
   * Keeps only the last tokens of a prompt, instead of refusing one too long.
   *
   * @param value how many; 0 for as many as fit beside the answer
   * @return a changed copy
   */
  public GenerationRequest withTruncatedPrompt(final int value) {
    return changed(draft -> draft.truncatePrompt = OptionalInt.of(value));
  }

  /**
   * Sets how tokens are drawn.
   *
   * @param value greedy unless set
   * @return a changed copy
   */
  public GenerationRequest withSampling(final Sampling value) {
    return changed(draft -> draft.sampling = value);
  }

  /**
   * Asks for several continuations.
   *
   * @param value how many, 1 to {@value #MAX_CHOICES}
   * @return a changed copy
   */
  public GenerationRequest withChoices(final int value) {
    return changed(draft -> draft.choices = value);
  }

  /**
   * Asks for log-probabilities with the tokens.
   *
   * @param value those of how many of the likeliest tokens beside, 0 to {@value #MAX_LOGPROBS}
   * @return a changed copy
   */
  public GenerationRequest withLogprobs(final int value) {
    return changed(draft -> draft.logprobs = OptionalInt.of(value));
  }

  /**
   * Asks for log-probabilities of the prompt's tokens.
   *
   * @param value those of how many of the likeliest tokens beside, 0 to {@value #MAX_LOGPROBS}
   * @return a changed copy
   */
  public GenerationRequest withPromptLogprobs(final int value) {
    return changed(draft -> draft.promptLogprobs = OptionalInt.of(value));
  }

  /**
   * Limits each choice.
   *
   * @param value tokens, 1 or more
   * @return a changed copy
   */
  public GenerationRequest withMaxTokens(final int value) {
    return changed(draft -> draft.maxTokens = OptionalInt.of(value));
  }

  /**
   * Sets strings that end a choice.
   *
   * @param value none of them empty
   * @return a changed copy
   */
  public GenerationRequest withStop(final List<String> value) {
    return changed(draft -> draft.stop = value);
  }

  /**
   * Sets tokens that end a choice.
   *
   * @param value token ids of the model
   * @return a changed copy
   */
  public GenerationRequest withStopTokens(final Set<Integer> value) {
    return changed(draft -> draft.stopTokens = value);
  }

  /**
   * Goes on, or not, when the model says that it is done.
   *
   * @param value whether to go on
   * @return a changed copy
   */
  public GenerationRequest withIgnoreEos(final boolean value) {
    return changed(draft -> draft.ignoreEos = value);
  }

  /**
   * Sets the class.
   *
   * @param value interactive unless set
   * @return a changed copy
   */
  public GenerationRequest withPriority(final Priority value) {
    return changed(draft -> draft.priority = value);
  }

  /**
   * Sets on whose behalf it is generated.
   *
   * @param value a name; empty for none
   * @return a changed copy
   */
  public GenerationRequest withTenant(final String value) {
    return changed(draft -> draft.tenant = value);
  }

  /**
   * Sets when to give up.
   *
   * @param value an instant of the clock of the machine that generates
   * @return a changed copy
   */
  public GenerationRequest withDeadline(final Instant value) {
    return changed(draft -> draft.deadline = Optional.of(value));
  }

  /**
   * Sets what the text must be.
   *
   * @param value holds for every choice
   * @return a changed copy
   */
  public GenerationRequest withConstraint(final Constraint value) {
    return changed(draft -> draft.constraint = Optional.of(value));
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
    if (constraint.isPresent() && !stop.isEmpty()) {
      throw new InvalidRequestException(
          "stop", "is set beside a constraint, which says itself where the text ends");
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
    private Optional<Constraint> constraint;

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
      constraint = from.constraint;
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
          deadline,
          constraint);
    }
  }
}
