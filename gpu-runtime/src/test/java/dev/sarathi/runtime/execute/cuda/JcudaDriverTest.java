package dev.sarathi.runtime.execute.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.sarathi.runtime.execute.cpu.Golden;
import dev.sarathi.runtime.model.Model;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** JCuda's own library, and all that is asked of the driver, over a stand-in for libcuda.so.1. */
class JcudaDriverTest {
  private static final Path STAND_IN = Path.of("target/twin").toAbsolutePath();

  @BeforeEach
  void requireStandIn() {
    assumeThat(Files.exists(STAND_IN.resolve("libcuda.so.1"))).as("a C++ compiler").isTrue();
    assumeThat(KernelModule.find()).as("nvcc").isPresent();
    // JCuda has binaries for it alone
    assumeThat(System.getProperty("os.arch")).isEqualTo("amd64");
  }

  @Test
  void shouldComputeTheSameBitsAsTheTwinByItself() throws Exception {
    try (Model model = Model.open(Golden.LLAMA3);
        CudaExecutor executor = new CudaExecutor(new TwinDriver(1), model, 100, 1024, free -> 64)) {
      assertThat(probe(Map.of()))
          .contains("cuda-1/sm_80/bf16/kv-bf16")
          .contains("digest " + DriverProbe.digest(executor));
    }
  }

  @Test
  void shouldGoOnWhereTheDriverCapturesNoLaunches() throws Exception {
    final String digest =
        probe(Map.of()).lines().filter(l -> l.startsWith("digest")).toList().getFirst();
    assertThat(probe(Map.of("TWIN_CAPTURES", "0")))
        .contains("the driver captures no launches", "STREAM_CAPTURE_UNSUPPORTED", digest);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "TWIN_DRIVER_VERSION | 12080 | unavailable: the NVIDIA driver supports CUDA 12.8, but the kernels were built with CUDA 13; install a newer driver",
        "TWIN_DEVICES | 0 | unavailable: the NVIDIA driver finds no GPU",
        "TWIN_CAPABILITY | 75 | unavailable: the GPU has compute capability 7.5; 8.0 or later is needed",
        "TWIN_MEMORY | 1000000 | DeviceException: CPU twin has",
        "TWIN_FAILS | 700 | went to an illegal address (CUDA_ERROR_ILLEGAL_ADDRESS)",
        "TWIN_FAILS | 719 | CUDA_ERROR_LAUNCH_FAILED",
      })
  void shouldSayWhatIsWrong(final String variable, final String value, final String message)
      throws Exception {
    assertThat(probe(Map.of(variable, value))).contains(message).doesNotContain("digest");
  }

  private static String probe(final Map<String, String> environment)
      throws IOException, InterruptedException {
    final ProcessBuilder builder =
        new ProcessBuilder(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty(
                    "surefire.test.class.path", System.getProperty("java.class.path")),
                DriverProbe.class.getName()));
    builder.environment().put("LD_LIBRARY_PATH", STAND_IN.toString());
    builder.environment().putAll(environment);
    final Process process = builder.redirectErrorStream(true).start();
    final String output = new String(process.getInputStream().readAllBytes());
    process.waitFor();
    return output;
  }
}
