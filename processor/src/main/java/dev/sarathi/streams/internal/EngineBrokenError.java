package dev.sarathi.streams.internal;

import dev.sarathi.runtime.EngineFailedException;

/**
 * The engine broke down. An {@link Error}, so that no exception handler goes on without it: the
 * stream thread ends, and the application's uncaught-exception handler decides.
 */
public final class EngineBrokenError extends Error {
  EngineBrokenError(final EngineFailedException cause) {
    super(cause.getMessage(), cause);
  }
}
