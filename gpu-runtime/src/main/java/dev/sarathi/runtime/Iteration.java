package dev.sarathi.runtime;

import dev.sarathi.runtime.schedule.Scheduler;
import java.util.List;

/**
 * One batch that an engine has computed, and what the engine held when it was composed. A sequence
 * runs from its first part until it is preempted or ended; one that runs but has no part was left
 * out.
 *
 * @param id increases by one from batch to batch
 * @param start when the executor began it, in the executor's nanoseconds
 * @param end when it was done
 * @param parts what each of its sequences computed
 * @param preempted the sequences that lost their KV blocks for it, or since the batch before
 * @param ended the sequences that have ended since the iteration observed before, by its tokens or
 *     otherwise
 * @param waiting sequences not admitted yet, or preempted
 * @param running sequences that held KV blocks
 * @param usedBlocks KV blocks that sequences held
 * @param cachedBlocks KV blocks that nobody held and that could be found
 * @param totalBlocks how many KV blocks there are
 * @param preemptions how often a sequence had lost its blocks, since the engine's start
 * @param cachedTokens positions taken from the prefix cache, since the engine's start
 * @param tokenBudget the tokens that this batch was given, decodes and prefill together, as {@link
 *     Scheduler#tokenBudget} tells; 0 where the policy has no budget
 * @param timesToFirstToken of the choices that emitted their first token with it, since the engine
 *     was handed their request, in the executor's nanoseconds
 */
public record Iteration(
    long id,
    long start,
    long end,
    List<Part> parts,
    List<Long> preempted,
    List<Long> ended,
    int waiting,
    int running,
    int usedBlocks,
    int cachedBlocks,
    int totalBlocks,
    long preemptions,
    long cachedTokens,
    int tokenBudget,
    List<Long> timesToFirstToken) {

  /** Copies the lists. */
  public Iteration {
    parts = List.copyOf(parts);
    preempted = List.copyOf(preempted);
    ended = List.copyOf(ended);
    // Traces of earlier versions lack it.
    timesToFirstToken = timesToFirstToken == null ? List.of() : List.copyOf(timesToFirstToken);
  }

  /**
   * A sequence's share of a batch.
   *
   * @param sequence the engine's number for it
   * @param request the id of its request
   * @param choice which of the request's choices it is, from 0
   * @param prefill whether these positions were known before, or are a decode
   * @param start the absolute position of the first
   * @param tokens how many positions
   */
  public record Part(
      long sequence, String request, int choice, boolean prefill, int start, int tokens) {}
}
