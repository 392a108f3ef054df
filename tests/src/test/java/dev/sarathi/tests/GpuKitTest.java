package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The archive for machines with a GPU, and what it does where nothing is but itself. */
@Tag("long")
class GpuKitTest {
  private static final Path STAND_IN = Path.of("../gpu-runtime/target/twin").toAbsolutePath();

  @Test
  void shouldRunOnABareMachine(@TempDir final Path directory) throws Exception {
    // given the archive, of less than 64 MB, unpacked
    final Path archive = directory.resolve("gpu-kit.tar.gz");
    final Images.Output packed =
        Images.run(Map.of("SARATHI_SKIP_BUILD", "1"), "./sarathi", "gpu-kit", archive.toString());
    assertThat(packed.status()).as(packed.text()).isZero();
    assertThat(Files.size(archive)).isLessThan(64_000_000);
    Images.run(Map.of(), "tar", "-C", directory.toString(), "-xzf", archive.toString());
    final Path kit = directory.resolve("gpu-kit");

    // when there is no driver
    assumeTrue(Files.notExists(Path.of("/dev/nvidiactl")));
    final Images.Output without =
        Images.run(Map.of(), "env", "-i", kit.resolve("gpu-check").toString());

    // then it says so, or that the kernels are missing
    assertThat(without.status()).isEqualTo(2);
    assertThat(without.text())
        .containsPattern("gpu-check: th(ere is no NVIDIA driver|is build has)");

    // and where there is a stand-in, it checks and measures
    assumeTrue(Files.exists(STAND_IN.resolve("libcuda.so.1")) && !without.text().contains("build"));
    final String library = "LD_LIBRARY_PATH=" + STAND_IN;
    assertThat(
            Images.run(
                    Map.of(),
                    "env",
                    "-i",
                    library,
                    kit.resolve("gpu-check").toString(),
                    "--models",
                    "llama-heads64",
                    "--no-sanitizer")
                .text())
        .contains("240 rows of logits alike")
        .contains("all is well");
    assertThat(
            Images.run(
                    Map.of(),
                    "env",
                    "-i",
                    library,
                    kit.resolve("gpu-bench").toString(),
                    "--small",
                    "--shape",
                    "storyteller")
                .text())
        .contains("idle between two iterations");
  }
}
