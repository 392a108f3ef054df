package dev.sarathi.streams.replay;

import java.util.List;
import java.util.SortedMap;

/**
 * What a replay found.
 *
 * @param generations those compared
 * @param tokens their recorded tokens, every one of which was compared
 * @param cut of those, the ones that had been cancelled, expired or failed: compared up to there
 * @param unfinished prompts whose generation has not ended, or has not begun
 * @param incomplete generations of which the first tokens are not in the topic any more
 * @param ambiguous ids that came with another content too, and were generated more than once
 * @param undecodable records that are no prompts
 * @param fingerprint of the replay; empty if nothing was replayed
 * @param foreign how many of the generations were made by another fingerprint, by fingerprint
 * @param differences the first of each generation that differs
 */
public record ReplayReport(
    int generations,
    long tokens,
    int cut,
    int unfinished,
    int incomplete,
    int ambiguous,
    int undecodable,
    String fingerprint,
    SortedMap<String, Integer> foreign,
    List<Difference> differences) {}
