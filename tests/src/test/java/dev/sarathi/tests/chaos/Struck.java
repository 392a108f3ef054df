package dev.sarathi.tests.chaos;

import java.time.Duration;

/**
 * A fault that happened.
 *
 * @param at since the campaign's start
 * @param target what it hit
 * @param tokens how many tokens the phase had committed by then
 */
record Struck(Duration at, Fault fault, String target, long tokens) {}
