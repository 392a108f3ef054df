package dev.sarathi.tests.chaos;

import dev.sarathi.tests.Oracle;
import java.util.List;

/**
 * What a request must yield.
 *
 * @param cancelled whether it was cancelled; it may then end early, at any token
 * @param answers the oracle's, by choice
 */
record Expectation(String id, boolean cancelled, List<Oracle.Answer> answers) {}
