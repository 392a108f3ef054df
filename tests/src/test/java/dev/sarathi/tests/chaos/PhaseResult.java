package dev.sarathi.tests.chaos;

import java.util.List;
import java.util.Map;

/**
 * What a phase came to.
 *
 * @param resumedAboveZero resumptions of a generation at an index above 0, from the token records:
 *     an attempt that goes on where an earlier one had come to
 * @param resumptions the same by the applications' logs, those without a later token among them
 * @param abortedRecords token records that only a {@code read_uncommitted} consumer sees
 * @param totals the applications' own totals, by metric
 * @param restarts of application processes, by faults and by the supervisor
 */
record PhaseResult(
    String protocol,
    int requests,
    int cancelled,
    int repeated,
    long tokens,
    long tokenRecords,
    long abortedRecords,
    long resumedAboveZero,
    long resumptions,
    Map<String, Long> totals,
    int restarts,
    double seconds,
    List<Struck> faults,
    List<Anomaly> anomalies) {}
