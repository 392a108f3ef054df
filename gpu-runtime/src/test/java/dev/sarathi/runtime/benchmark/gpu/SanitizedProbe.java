package dev.sarathi.runtime.benchmark.gpu;

import dev.sarathi.runtime.execute.cuda.Driver;
import dev.sarathi.runtime.execute.cuda.Launch;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/** Checks models on the first GPU that the driver offers, or does what no kernel may. */
public final class SanitizedProbe {
  private SanitizedProbe() {}

  /**
   * @param arguments names of models; or none, to add up one row more than there is
   */
  public static void main(final String[] arguments) {
    if (arguments.length == 0) {
      try (Driver driver = Driver.open()) {
        final long residual = driver.allocate(4 * 1024);
        final long delta = driver.allocate(2 * 2 * 1024);
        driver.launch(new Launch("add", 2, 1, 256, 0, residual, delta, 1024, 1024));
        driver.synchronize();
      }
      return;
    }
    final GpuCheck check = new GpuCheck(Driver::open, Path.of("src/test/resources"), 33);
    final List<String> models = Arrays.asList(arguments);
    models.forEach(model -> check.run(model, System.out::println));
  }
}
