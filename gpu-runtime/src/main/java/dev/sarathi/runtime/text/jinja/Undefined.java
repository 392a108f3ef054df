package dev.sarathi.runtime.text.jinja;

/** What a name, key or index has that is not there: empty as text, an error in most other uses. */
record Undefined(String problem) {}
