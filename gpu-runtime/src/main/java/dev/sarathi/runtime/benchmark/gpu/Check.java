package dev.sarathi.runtime.benchmark.gpu;

/**
 * What one check of a GPU has shown.
 *
 * @param subject a model, or what else was looked at
 * @param compares what with what
 * @param figure what was measured and what is allowed, or why nothing was
 */
public record Check(String subject, String compares, Result result, String figure) {

  /** How it went; what is skipped could not be looked at here. */
  public enum Result {
    OK,
    FAILED,
    SKIPPED
  }

  static Check of(
      final String subject, final String compares, final boolean passed, final String figure) {
    return new Check(subject, compares, passed ? Result.OK : Result.FAILED, figure);
  }
}
