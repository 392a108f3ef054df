package dev.sarathi.runtime;

import java.time.Instant;
import java.util.Optional;

/**
 * What a generation gained.
 *
 * @param index the index of the first of {@code tokens} among the generated tokens
 * @param tokens the new tokens; none when the generation ends without a further one
 * @param text the text that became certain, which may lag behind the tokens: half a character and
 *     what may become a stop string are held back
 * @param emittedAt when the engine emitted it
 * @param finish present with the last delta
 */
public record TokenDelta(
    int index, int[] tokens, String text, Instant emittedAt, Optional<Finish> finish) {}
