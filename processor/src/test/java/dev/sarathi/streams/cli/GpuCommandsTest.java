package dev.sarathi.streams.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sarathi.runtime.execute.cuda.CudaExecutor;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** The commands for a GPU: without one, and in a JVM over a stand-in for NVIDIA's driver. */
class GpuCommandsTest {
  private static final Path STAND_IN = Path.of("../gpu-runtime/target/twin").toAbsolutePath();
  private static final String REFERENCES = "../gpu-runtime/src/test/resources";

  private record Ended(int code, String output) {}

  private static Ended here(final String... arguments) {
    final StringWriter output = new StringWriter();
    final CommandLine command = Sarathi.commandLine();
    command.setOut(new PrintWriter(output)).setErr(new PrintWriter(output));
    return new Ended(command.execute(arguments), output.toString());
  }

  @ParameterizedTest
  @ValueSource(strings = {"gpu-check", "gpu-bench"})
  void shouldSayWhyThereIsNoGpu(final String name) {
    assumeThat(CudaExecutor.unavailable()).as("no GPU").isPresent();

    final Ended ended = here(name);

    assertThat(ended.code()).isEqualTo(2);
    assertThat(ended.output())
        .isEqualTo("sarathi " + name + ": " + CudaExecutor.unavailable().orElseThrow() + "\n");
  }

  @Test
  void shouldRefuseAnUnknownShape() {
    final Ended ended = here("gpu-bench", "--shape", "gpt-2");

    assertThat(ended.code()).isEqualTo(2);
    assertThat(ended.output()).contains("shape is gpt-2; valid is llama-2-7b, llama-3-8b");
  }

  @Test
  void shouldCheckTheFirstGpu(@TempDir final Path directory) throws Exception {
    // given a sanitizer that finds nothing, and asks what it is to run for its usage
    final Path sanitizer = script(directory, "shift 4; exec \"$@\" --help");

    final Ended ended =
        standIn(
            Map.of(),
            check(
                "yi",
                "--compute-sanitizer",
                sanitizer.toString(),
                "--record",
                directory.toString()));

    assertThat(ended.output())
        .startsWith("CPU twin (sm_80, 4 processors), Sarathi Streams")
        .containsPattern("mma.sync +results beside plain arithmetic +OK +largest error")
        .contains("recorded in " + directory.resolve("sm_80.json"))
        .containsPattern("yi +logits beside transformers' +OK ")
        .containsPattern("yi +bits in company beside those alone +OK +240 rows of logits alike")
        .containsPattern("compute-sanitizer +racecheck +OK ")
        .endsWith("all is well\n");
    assertThat(directory.resolve("sm_80.json")).content().contains("MULTIPLY");
    assertThat(ended.code()).isZero();
  }

  @Test
  void shouldFailWhereAGpuFails(@TempDir final Path directory) throws Exception {
    final Path sanitizer = script(directory, "exit 86");

    final Ended ended =
        standIn(
            Map.of("TWIN_FAILS", "719"), check("yi", "--compute-sanitizer", sanitizer.toString()));

    assertThat(ended.output())
        .containsPattern("instructions +that the device computes .*CUDA_ERROR_LAUNCH_FAILED")
        .containsPattern("yi +that the device computes at all +FAILED .*CUDA_ERROR_LAUNCH_FAILED")
        .containsPattern("compute-sanitizer +memcheck +FAILED +it found something: see /")
        .contains("5 checks failed");
    assertThat(ended.code()).isEqualTo(1);
  }

  @Test
  @Tag("long")
  void shouldMeasureTheFirstGpu(@TempDir final Path directory) throws Exception {
    final Path json = directory.resolve("figures.json");

    final Ended ended =
        standIn(
            Map.of(),
            "gpu-bench",
            "--small",
            "--shape",
            "storyteller",
            "--peer-flops",
            "100",
            "--json",
            json.toString());

    assertThat(ended.output())
        .startsWith("CPU twin (sm_80, 4 processors), Sarathi Streams")
        .containsPattern("device +largest bfloat16 product .* TFLOP/s .* of the framework's")
        .containsPattern(
            "storyteller +decode, batch 2, context 48 .*; goal at least 75 % of a copy")
        .containsPattern("storyteller +8 mixed requests .* tokens/s");
    assertThat(ended.code()).isZero();
    final JsonNode written = new ObjectMapper().readTree(json.toFile());
    final JsonNode figures = written.get("figures");
    assertThat(figures).hasSize(9);
    assertThat(figures.get(2).get("value").asDouble()).isPositive();
    assertThat(figures.get(2).get("goal").asText()).isEqualTo("at least 75 % of a copy");
    assertThat(written.at("/shapes/0/name").asText()).isEqualTo("storyteller");
    assertThat(written.get("requests"))
        .hasSize(8)
        .allMatch(request -> request.get("output").asInt() == 3);
  }

  @Test
  void shouldRefuseAnUnknownModel() throws Exception {
    final Ended ended = standIn(Map.of(), check("gpt-2"));

    assertThat(ended.code()).isEqualTo(2);
    assertThat(ended.output()).contains("model is gpt-2; valid is falcon-sequential, falcon180b");
  }

  private static String[] check(final String model, final String... more) {
    final List<String> arguments =
        new ArrayList<>(List.of("gpu-check", "--references", REFERENCES, "--models", model));
    arguments.addAll(Arrays.asList(more));
    return arguments.toArray(String[]::new);
  }

  private static Path script(final Path directory, final String body) throws IOException {
    final Path file =
        Files.writeString(directory.resolve("sanitizer"), "#!/bin/sh\n" + body + "\n");
    return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwx------"));
  }

  private static Ended standIn(final Map<String, String> environment, final String... arguments)
      throws IOException, InterruptedException {
    assumeThat(Files.exists(STAND_IN.resolve("libcuda.so.1"))).as("a C++ compiler").isTrue();
    assumeThat(CudaExecutor.unavailable().orElse("")).as("nvcc").doesNotContain("no CUDA kernels");
    assumeThat(System.getProperty("os.arch")).isEqualTo("amd64");
    final List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty(
                    "surefire.test.class.path", System.getProperty("java.class.path")),
                "-Dlogback.configurationFile=sarathi-logback.xml",
                GpuKit.class.getName()));
    command.addAll(Arrays.asList(arguments));
    final ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().put("LD_LIBRARY_PATH", STAND_IN.toString());
    builder.environment().put("SARATHI_LOG_LEVEL", "OFF");
    builder.environment().putAll(environment);
    final Process process = builder.redirectErrorStream(true).start();
    final String output =
        new String(process.getInputStream().readAllBytes())
            .replaceFirst("WARNING: Using incubator modules: jdk.incubator.vector\n", "");
    return new Ended(process.waitFor(), output);
  }
}
