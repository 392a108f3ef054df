package dev.sarathi.schemas;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

final class TrustedPackageTest {

  // In a JVM of its own: in this one, another test may have had the package trusted before.
  @Test
  void shouldBuildARequestBeforeAnythingElseIsLoaded() throws Exception {
    final Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                BuildFirst.class.getName())
            .redirectErrorStream(true)
            .start();

    final String output = new String(process.getInputStream().readAllBytes());
    assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
    assertThat(output).endsWith("INTERACTIVE 1.0");
  }

  static final class BuildFirst {
    public static void main(final String[] arguments) {
      final PromptRequest request = PromptRequest.newBuilder().setPrompt("Once").build();
      System.out.print(request.getPriority() + " " + request.getSampling().getTemperature());
    }
  }
}
