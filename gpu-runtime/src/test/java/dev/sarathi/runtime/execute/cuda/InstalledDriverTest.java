package dev.sarathi.runtime.execute.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class InstalledDriverTest {

  @Test
  void shouldNameTheLibraryThatIsMissing() {
    // given a machine without a driver, and kernels
    assumeThat(KernelModule.find()).isPresent();
    assumeThat(Files.exists(Path.of("/dev/nvidiactl"))).isFalse();

    // when, then
    assertThat(InstalledDriver.problem())
        .contains(
            "there is no NVIDIA driver: libcuda.so.1 was not found; install driver 580 or later");
  }

  @Test
  void shouldFindKernelsOfANamedToolkit() {
    assumeThat(KernelModule.find()).as("nvcc was there").isPresent();
    final KernelModule module = KernelModule.find().orElseThrow();
    assertThat(module.toolkit()).isGreaterThanOrEqualTo(12);
    assertThat(module.fatbin()).hasSizeGreaterThan(100_000);
  }
}
