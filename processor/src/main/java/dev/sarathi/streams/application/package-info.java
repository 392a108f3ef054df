/** The application that {@code ./sarathi run} starts: the library around one engine. */
package dev.sarathi.streams.application;
