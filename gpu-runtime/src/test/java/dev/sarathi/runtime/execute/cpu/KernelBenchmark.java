package dev.sarathi.runtime.execute.cpu;

import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.OptionsBuilder;

/**
 * Single kernels at the shapes of a model of a billion parameters, beside the machine's ceilings of
 * arithmetic and of memory in the same run. The last lines set the one against the other, each at
 * its best. The property {@code kernels}, a regular expression, leaves others out.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 1, jvmArgsAppend = "-Xmx1g")
public class KernelBenchmark {
  @Param({
    "fma",
    "read",
    "java bf16 512x2048x2048",
    "java bf16 512x2048x5632",
    "java bf16 512x5632x2048",
    "java bf16 1x2048x5632",
    "java bf16 8x2048x5632",
    "java f32 512x2048x2048",
    "java int8 512x2048x5632",
    "java int8 1x2048x5632",
    "java int8 8x2048x5632",
    "native bf16 512x2048x2048",
    "native bf16 512x2048x5632",
    "native bf16 512x5632x2048",
    "native bf16 1x2048x5632",
    "native bf16 8x2048x5632",
    "native int8 512x2048x5632",
    "native int8 1x2048x5632",
    "native int8 8x2048x5632",
    "java attention 1+2048",
    "java attention 256+2048",
    "native attention 1+2048",
    "native attention 256+2048"
  })
  private String kernel;

  @Param({"1", "2"})
  private int threads;

  private Workload workload;
  private WorkerPool pool;

  /** Of all invocations; reported by the second. */
  @State(Scope.Thread)
  @AuxCounters(AuxCounters.Type.OPERATIONS)
  public static class Work {
    public double gigaflops;
    public double gigabytes;
  }

  @Test
  void measure() throws RunnerException, NoSuchFieldException {
    final String wanted = System.getProperty("kernels", ".*");
    final boolean compiled = KernelSet.NATIVE.obstacle().isEmpty();
    final String[] kernels =
        Arrays.stream(
                KernelBenchmark.class.getDeclaredField("kernel").getAnnotation(Param.class).value())
            .filter(name -> compiled || !name.startsWith("native"))
            .filter(name -> isCeiling(name) || name.matches(wanted))
            .toArray(String[]::new);
    final Collection<RunResult> results =
        new Runner(
                new OptionsBuilder()
                    .include(KernelBenchmark.class.getSimpleName())
                    .param("kernel", kernels)
                    .shouldFailOnError(true)
                    .build())
            .run();
    System.out.printf("%n%-28s threads  GFLOP/s  of FMA     GB/s  of read%n", "kernel");
    results.stream()
        .sorted(Comparator.comparing(result -> result.getParams().getParam("threads")))
        .forEach(result -> show(result, results));
  }

  private static boolean isCeiling(final String name) {
    return name.equals("fma") || name.equals("read");
  }

  private static void show(final RunResult result, final Collection<RunResult> all) {
    final String threads = result.getParams().getParam("threads");
    final double flops = best(result, "gigaflops");
    final double bytes = best(result, "gigabytes");
    System.out.printf(
        Locale.ROOT,
        "%-28s %7s %8.1f %6.0f%% %8.1f %7.0f%%%n",
        result.getParams().getParam("kernel"),
        threads,
        flops,
        100 * flops / ceiling(all, "fma", threads, "gigaflops"),
        bytes,
        100 * bytes / ceiling(all, "read", threads, "gigabytes"));
  }

  private static double ceiling(
      final Collection<RunResult> all,
      final String kernel,
      final String threads,
      final String counter) {
    return all.stream()
        .filter(result -> result.getParams().getParam("kernel").equals(kernel))
        .filter(result -> result.getParams().getParam("threads").equals(threads))
        .mapToDouble(result -> best(result, counter))
        .max()
        .orElseThrow();
  }

  private static double best(final RunResult result, final String counter) {
    return result.getSecondaryResults().get(counter).getStatistics().getMax();
  }

  @Setup
  public void start() {
    workload = Workload.named(kernel);
    pool = new WorkerPool(threads);
  }

  @TearDown
  public void close() {
    pool.close();
  }

  @Benchmark
  public void run(final Work work) {
    workload.time(pool);
    work.gigaflops += workload.flops() / 1e9;
    work.gigabytes += workload.bytes() / 1e9;
  }
}
