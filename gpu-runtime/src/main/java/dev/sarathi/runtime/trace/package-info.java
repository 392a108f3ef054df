/** What an engine did, iteration by iteration: written as JSON lines, drawn as a picture. */
package dev.sarathi.runtime.trace;
