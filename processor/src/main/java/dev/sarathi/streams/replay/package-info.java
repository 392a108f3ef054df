/**
 * Runs recorded prompts once more, beside the application and isolated from it, and compares every
 * token.
 */
package dev.sarathi.streams.replay;
