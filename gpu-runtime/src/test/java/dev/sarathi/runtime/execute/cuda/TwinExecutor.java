package dev.sarathi.runtime.execute.cuda;

import dev.sarathi.runtime.execute.Executor;
import dev.sarathi.runtime.model.Model;

/** The CUDA executor over the CPU twin, for tests of what is above it. */
public final class TwinExecutor {
  private TwinExecutor() {}

  /** Whether there was a compiler to build the twin with. */
  public static boolean isBuilt() {
    return TwinDriver.built();
  }

  public static Executor open(final Model model, final int kvBlocks, final long seed) {
    return new CudaExecutor(new TwinDriver(seed), model, 96, 512, free -> kvBlocks);
  }
}
