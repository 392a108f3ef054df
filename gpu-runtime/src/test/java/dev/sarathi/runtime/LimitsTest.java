package dev.sarathi.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.sarathi.runtime.execute.cpu.CpuExecutor;
import dev.sarathi.runtime.model.Model;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** That the defaults are those of the container and not of the machine below it. */
class LimitsTest {
  private static final Path STORYTELLER = Path.of("../models/storyteller");
  private static final Path CGROUPS = Path.of("/sys/fs/cgroup");
  private static final long LIMIT = 512L << 20;

  @Test
  void shouldTakeOneThreadForEachProcessor() throws Exception {
    final List<String> one = run(List.of(), "-XX:ActiveProcessorCount=1");
    final List<String> three = run(List.of(), "-XX:ActiveProcessorCount=3");
    assertThat(one).contains("workers 0");
    assertThat(three).contains("workers 2");
    assertThat(tokens(one)).isNotEmpty().isEqualTo(tokens(three));
  }

  private static List<String> tokens(final List<String> output) {
    return output.stream().filter(line -> line.startsWith("tokens [")).toList();
  }

  /** Of 512 MiB; what sixteen sequences of full context need would be more. */
  @Test
  void shouldTakeAQuarterOfTheContainersMemoryForTheKvCache() throws Exception {
    final Path memory =
        Files.isDirectory(CGROUPS.resolve("memory")) ? CGROUPS.resolve("memory") : CGROUPS;
    assumeThat(Files.isWritable(memory.resolve("cgroup.procs"))).as("may make containers").isTrue();
    final Path container = memory.resolve("sarathi-test-" + ProcessHandle.current().pid());
    final Path limit =
        container.resolve(memory.equals(CGROUPS) ? "memory.max" : "memory.limit_in_bytes");
    final long bytesPerBlock;
    try (Model model = Model.open(STORYTELLER)) {
      bytesPerBlock = CpuExecutor.kvBytesPerBlock(model.config());
    }
    assumeThat(container.toFile().mkdir()).isTrue();
    try {
      assumeThat(limit).as("the controller of memory").exists();
      Files.writeString(limit, Long.toString(LIMIT));
      final List<String> output =
          run(
              List.of("sh", "-c", "echo $$ > " + container + "/cgroup.procs && exec \"$@\"", "sh"),
              "-Xmx128m");
      assertThat(output).contains("blocks " + LIMIT / 4 / bytesPerBlock);
      assertThat(tokens(output)).isNotEmpty();
    } finally {
      Files.delete(container);
    }
  }

  private static List<String> run(final List<String> before, final String option)
      throws IOException, InterruptedException {
    final List<String> command = new ArrayList<>(before);
    command.addAll(
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            option,
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
            LimitedProcess.class.getName(),
            STORYTELLER.toString()));
    final Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    try (Stream<String> lines = process.inputReader().lines()) {
      return lines.toList();
    } finally {
      process.waitFor();
    }
  }
}
