package dev.sarathi.runtime;

/** The class of a request. Bulk ages into interactive, so that nothing starves. */
public enum Priority {
  /** Somebody waits for it. */
  INTERACTIVE,
  /** It takes what interactive requests leave, until it has waited for long. */
  BULK
}
