/**
 * The commands of {@code ./sarathi}; each exits with 0 for success, 1 for failure, 2 for misuse.
 */
package dev.sarathi.streams.cli;
