package dev.sarathi.runtime;

/** The class of a request. Bulk ages into interactive, so that nothing starves. */
public enum Priority {
  INTERACTIVE,
  BULK
}
