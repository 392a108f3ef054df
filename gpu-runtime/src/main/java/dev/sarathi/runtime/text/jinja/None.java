package dev.sarathi.runtime.text.jinja;

/** Python's value for nothing. */
enum None {
  NONE
}
