package dev.sarathi.runtime.execute.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import org.assertj.core.api.Assumptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * That no kernel falls off a cliff, such as C2 giving up on the vector operations, which costs a
 * factor of 35. A kernel is set against a ceiling that is measured in the same moments, because
 * tests run on machines of any speed and beside others; {@link KernelBenchmark} measures in
 * earnest.
 */
class KernelSpeedTest {
  private static final int WARM_UPS = 20;
  private static final int ROUNDS = 200;
  private static final long PATIENCE_NANOS = 20_000_000_000L;

  /**
   * Calibrated: what part of the ceiling the kernel reaches at rest, on that of two machines (Zen 4
   * and Zen 5) on which it is less.
   */
  @ParameterizedTest
  @CsvSource({
    "fma,  java bf16 24x2048x1024,   0.75",
    "fma,  java f32 24x2048x1024,    0.60",
    "fma,  java int8 24x2048x1024,   0.65",
    "fma,  java attention 64+1024,   0.40",
    "read, java bf16 1x2048x5632,    0.80",
    "read, java bf16 8x2048x5632,    0.40",
    "read, java int8 1x2048x5632,    0.55",
    "read, java attention 1+2048,    0.30",
    "fma,  native bf16 24x2048x1024, 1.30",
    "fma,  native int8 24x2048x1024, 1.00",
    "read, native bf16 1x2048x5632,  0.80",
    "read, native int8 1x2048x5632,  0.80",
    "fma,  native attention 64+1024, 0.50",
    "read, native attention 1+2048,  0.40"
  })
  void shouldReachHalfOfItsCalibratedPartOfACeiling(
      final String ceilingName, final String kernelName, final double calibrated) {
    assumeItRuns(kernelName);
    final Workload ceiling = Workload.named(ceilingName);
    final Workload kernel = Workload.named(kernelName);
    double best = 0;
    final long start = System.nanoTime(); // neighbours on a machine take their share for seconds
    try (WorkerPool pool = new WorkerPool(1)) {
      for (int round = 0;
          best < calibrated / 2 && (round < ROUNDS || System.nanoTime() - start < PATIENCE_NANOS);
          round++) {
        final double most = rate(ceilingName, ceiling, ceiling.time(pool));
        final double part = rate(ceilingName, kernel, kernel.time(pool)) / most;
        if (round >= WARM_UPS) {
          best = Math.max(best, part);
        }
      }
    }
    assertThat(best)
        .as("%s, as a part of %s", kernelName, ceilingName)
        .isGreaterThanOrEqualTo(calibrated / 2);
  }

  private static double rate(final String ceiling, final Workload workload, final long nanos) {
    return (ceiling.equals("fma") ? workload.flops() : workload.bytes()) / nanos;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "java bf16 7x200x96",
        "java int8 7x200x96",
        "java int8 50x200x96",
        "java f32 7x200x96",
        "java attention 3+40",
        "native bf16 7x200x96",
        "native int8 7x200x96",
        "native attention 3+40"
      })
  void shouldAllocateNothing(final String kernelName) {
    assumeItRuns(kernelName);
    final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    final Workload kernel = Workload.named(kernelName);
    long fewest = Long.MAX_VALUE;
    final long start = System.nanoTime(); // until the compiler has come to them, they do allocate
    while (fewest > 0 && System.nanoTime() - start < PATIENCE_NANOS) {
      final long before = threads.getCurrentThreadAllocatedBytes();
      for (int unit = 0; unit < Math.min(kernel.units(), 2_000); unit++) {
        kernel.operation().run(unit, 0);
      }
      fewest = Math.min(fewest, threads.getCurrentThreadAllocatedBytes() - before);
    }
    assertThat(fewest).isZero();
  }

  private static void assumeItRuns(final String kernelName) {
    if (kernelName.startsWith("native")) {
      Assumptions.assumeThat(KernelSet.NATIVE.obstacle()).isEmpty();
    }
  }
}
