package dev.sarathi.runtime.benchmark.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.sarathi.runtime.execute.cuda.CudaExecutor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The kernels on the CPU twin, compiled with the address and undefined-behaviour sanitizers. */
@Tag("long")
class AddressSanitizerTest {
  private static final Path DIRECTORY = Path.of("target/checked").toAbsolutePath();

  /** The JVM handles signals itself, and its own leaks are not ours. */
  private static final String OPTIONS =
      "detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:use_sigaltstack=0";

  private static String runtime;

  private record Ended(int code, String output) {}

  @BeforeAll
  static void compile() throws Exception {
    assumeThat(CudaExecutor.unavailable().orElse("")).as("nvcc").doesNotContain("no CUDA kernels");
    assumeThat(System.getProperty("os.arch")).isEqualTo("amd64");
    final Ended compiled =
        run(Map.of(), "bash", "../build/compile-kernels", "checked", DIRECTORY.toString());
    assertThat(compiled.code()).as(compiled.output()).isZero();
    assumeThat(Files.exists(DIRECTORY.resolve("libcuda.so.1"))).as("a C++ compiler").isTrue();
    runtime = run(Map.of(), "g++", "-print-file-name=libasan.so").output().strip();
    assumeThat(runtime).as("the sanitizer's library").startsWith("/");
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama-heads64", "falcon-sequential"})
  void shouldFindNothing(final String model) throws Exception {
    final Ended ended = probe(model);

    assertThat(ended.output())
        .contains("result=OK")
        .doesNotContain("FAILED", "ERROR", "runtime error");
    assertThat(ended.code()).isZero();
  }

  @Test
  void shouldFindAKernelThatReadsBeyondABuffer() throws Exception {
    final Ended ended = probe();

    assertThat(ended.output()).contains("AddressSanitizer: heap-buffer-overflow", "rows.cuh");
    assertThat(ended.code()).isNotZero();
  }

  private static Ended probe(final String... models) throws IOException, InterruptedException {
    final List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty(
                    "surefire.test.class.path", System.getProperty("java.class.path")),
                SanitizedProbe.class.getName()));
    command.addAll(Arrays.asList(models));
    return run(
        Map.of(
            "LD_PRELOAD",
            runtime,
            "ASAN_OPTIONS",
            OPTIONS,
            "LD_LIBRARY_PATH",
            DIRECTORY.toString()),
        command.toArray(String[]::new));
  }

  private static Ended run(final Map<String, String> environment, final String... command)
      throws IOException, InterruptedException {
    final ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().putAll(environment);
    final Process process = builder.start();
    final String output = new String(process.getInputStream().readAllBytes());
    return new Ended(process.waitFor(), output);
  }
}
