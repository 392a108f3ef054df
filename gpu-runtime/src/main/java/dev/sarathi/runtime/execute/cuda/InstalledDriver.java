package dev.sarathi.runtime.execute.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.Optional;

/**
 * Asks the machine whether there is a driver and a GPU that can run the kernels. By itself, because
 * JCuda's library cannot even be loaded where there is no driver.
 */
@SuppressWarnings("restricted") // calls C
final class InstalledDriver {
  private static final String LIBRARY = "libcuda.so.1";
  private static final int OLDEST_CAPABILITY = 80;

  /** By the number of the {@code CUdevice_attribute}. */
  private static final int CAPABILITY_MAJOR = 75;

  private static final int CAPABILITY_MINOR = 76;

  private final SymbolLookup library;
  private final MemorySegment result;

  private InstalledDriver(final SymbolLookup library, final Arena arena) {
    this.library = library;
    result = arena.allocate(JAVA_INT);
  }

  /** Why no GPU can be used, as a clause with its remedy; empty if one can. */
  static Optional<String> problem() {
    final Optional<KernelModule> module = KernelModule.find();
    if (module.isEmpty()) {
      return Optional.of(
          "this build has no CUDA kernels: nvcc was not found when it was built;"
              + " build where the CUDA toolkit is installed");
    }
    try (Arena arena = Arena.ofConfined()) {
      final SymbolLookup library;
      try {
        library = SymbolLookup.libraryLookup(LIBRARY, arena);
      } catch (final IllegalArgumentException e) {
        return Optional.of(
            "there is no NVIDIA driver: "
                + LIBRARY
                + " was not found; install driver 580 or later");
      }
      return new InstalledDriver(library, arena).problem(module.get().toolkit());
    }
  }

  private Optional<String> problem(final int toolkit) {
    final int initialised = call("cuInit", 0);
    if (initialised != 0) {
      return Optional.of(
          "the NVIDIA driver does not start (cuInit returns %d); `nvidia-smi` may say why"
              .formatted(initialised));
    }
    final int version = valueOf("cuDriverGetVersion");
    if (version / 1000 < toolkit) {
      return Optional.of(
          ("the NVIDIA driver supports CUDA %d.%d, but the kernels were built with CUDA %d;"
                  + " install a newer driver (580 or later for CUDA 13) or build with CUDA %d")
              .formatted(version / 1000, version % 1000 / 10, toolkit, version / 1000));
    }
    if (valueOf("cuDeviceGetCount") == 0) {
      return Optional.of(
          "the NVIDIA driver finds no GPU; in a container, it must be started with one (--gpus all)");
    }
    final int capability = 10 * attribute(CAPABILITY_MAJOR) + attribute(CAPABILITY_MINOR);
    return capability < OLDEST_CAPABILITY
        ? Optional.of(
            "the GPU has compute capability %d.%d; 8.0 or later is needed"
                .formatted(capability / 10, capability % 10))
        : Optional.empty();
  }

  private int attribute(final int number) {
    try {
      final int status =
          (int)
              function(
                      "cuDeviceGetAttribute",
                      FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT))
                  .invokeExact(result, number, 0);
      return checked("cuDeviceGetAttribute", status);
    } catch (final Throwable e) {
      throw unexpected(e);
    }
  }

  private int valueOf(final String function) {
    try {
      final int status =
          (int) function(function, FunctionDescriptor.of(JAVA_INT, ADDRESS)).invokeExact(result);
      return checked(function, status);
    } catch (final Throwable e) {
      throw unexpected(e);
    }
  }

  private int call(final String function, final int argument) {
    try {
      return (int)
          function(function, FunctionDescriptor.of(JAVA_INT, JAVA_INT)).invokeExact(argument);
    } catch (final Throwable e) {
      throw unexpected(e);
    }
  }

  private int checked(final String function, final int status) {
    if (status != 0) {
      throw new DeviceException("the NVIDIA driver's " + function + " returns " + status);
    }
    return result.get(JAVA_INT, 0);
  }

  private MethodHandle function(final String name, final FunctionDescriptor descriptor) {
    return Linker.nativeLinker().downcallHandle(library.findOrThrow(name), descriptor);
  }

  /** A method handle may throw anything; these functions throw nothing. */
  private static RuntimeException unexpected(final Throwable e) {
    return e instanceof RuntimeException known ? known : new IllegalStateException(e);
  }
}
