package dev.sarathi.runtime.execute.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Optional;
import java.util.Properties;

/**
 * The kernels as nvcc has compiled them, where it was at hand when this was built.
 *
 * @param fatbin machine code and PTX
 * @param toolkit major version of the CUDA toolkit, of which the driver must be too
 */
record KernelModule(byte[] fatbin, int toolkit) {

  /** Empty if this was built without nvcc. */
  static Optional<KernelModule> find() {
    try (InputStream fatbin = KernelModule.class.getResourceAsStream("kernels.fatbin");
        InputStream properties = KernelModule.class.getResourceAsStream("kernels.properties")) {
      if (fatbin == null || properties == null) {
        return Optional.empty();
      }
      final Properties values = new Properties();
      values.load(properties);
      return Optional.of(
          new KernelModule(
              fatbin.readAllBytes(), Integer.parseInt(values.getProperty("toolkit.major"))));
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
