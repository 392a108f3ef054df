package dev.sarathi.runtime;

import dev.sarathi.runtime.schedule.Logprobs;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * What one choice of a generation gained.
 *
 * @param choice which of the request's choices, from 0
 * @param index the index of the first of {@code tokens} among the choice's generated tokens
 * @param tokens the new tokens; none when the choice ends without a further one
 * @param logprobs one for each new token, where the request asked for them; else empty
 * @param promptLogprobs one for each token of the prompt but the first, with the first token of
 *     choice 0, where the request asked for them; else empty
 * @param text the text that became certain, which may lag behind the tokens: half a character and
 *     what may become a stop string are held back
 * @param emittedAt when the engine emitted it
 * @param finish present with the last delta of the choice
 * @param last whether every choice of the generation has ended with this
 */
public record TokenDelta(
    int choice,
    int index,
    int[] tokens,
    List<Logprobs> logprobs,
    List<Logprobs> promptLogprobs,
    String text,
    Instant emittedAt,
    Optional<Finish> finish,
    boolean last) {

  /** Copies the log-probabilities. */
  public TokenDelta {
    logprobs = List.copyOf(logprobs);
    promptLogprobs = List.copyOf(promptLogprobs);
  }
}
