package dev.sarathi.runtime.execute.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The CPU twin of a device (src/test/cuda): the same kernels, compiled for the host. What is queued
 * happens as late as it may, when the queue is waited for.
 *
 * <p>Threading: the twin's library runs one launch at a time in the whole process.
 */
@SuppressWarnings("restricted") // calls C
public final class TwinDriver implements Driver {
  private static final Path LIBRARY = Path.of("target/twin/libtwin.so").toAbsolutePath();
  private static final int PROCESSORS = 4;
  private static final int LONGEST_MESSAGE = 4096;

  /** Bound when first used, so that tests can ask whether it is there. */
  private static final class Library {
    private static final SymbolLookup SYMBOLS = SymbolLookup.libraryLookup(LIBRARY, Arena.global());
    private static final MethodHandle ALLOCATE =
        function("twin_allocate", FunctionDescriptor.of(JAVA_LONG, JAVA_LONG));
    private static final MethodHandle FREE =
        function("twin_free", FunctionDescriptor.ofVoid(JAVA_LONG));
    private static final MethodHandle HAS =
        function("twin_has", FunctionDescriptor.of(JAVA_INT, ADDRESS));
    private static final MethodHandle SEED =
        function("twin_seed", FunctionDescriptor.ofVoid(JAVA_LONG));
    private static final MethodHandle LAUNCH =
        function(
            "twin_launch",
            FunctionDescriptor.of(
                ADDRESS, ADDRESS, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG, ADDRESS));

    private static MethodHandle function(final String name, final FunctionDescriptor descriptor) {
      return Linker.nativeLinker().downcallHandle(SYMBOLS.findOrThrow(name), descriptor);
    }
  }

  private final Arena arena = Arena.ofShared();
  private final TreeMap<Long, Long> memory = new TreeMap<>();
  private final List<Runnable> queue = new ArrayList<>();
  private Optional<List<Launch>> capturing = Optional.empty();

  /** Whether there was a compiler to build the twin with. */
  public static boolean built() {
    return Files.exists(LIBRARY);
  }

  /**
   * @param seed of the order in which warps and blocks run
   */
  public TwinDriver(final long seed) {
    try {
      Library.SEED.invokeExact(seed);
    } catch (final Throwable e) {
      throw new AssertionError(e);
    }
  }

  @Override
  public Device device() {
    return new Device("CPU twin", "twin", PROCESSORS);
  }

  @Override
  public void attach() {}

  @Override
  public long freeMemory() {
    return 1L << 30;
  }

  @Override
  public long allocate(final long bytes) {
    try {
      final long address = (long) Library.ALLOCATE.invokeExact(bytes);
      memory.put(address, bytes);
      return address;
    } catch (final Throwable e) {
      throw new AssertionError(e);
    }
  }

  @Override
  public void free(final long address) {
    synchronize();
    if (memory.remove(address) == null) {
      throw new DeviceException("free: no memory begins at " + address);
    }
    release(address);
  }

  private static void release(final long address) {
    try {
      Library.FREE.invokeExact(address);
    } catch (final Throwable e) {
      throw new AssertionError(e);
    }
  }

  @Override
  public MemorySegment hostMemory(final long bytes) {
    return arena.allocate(bytes, 256);
  }

  @Override
  public void fillWithZeros(final long address, final long bytes) {
    enqueue(() -> at(address, bytes).fill((byte) 0));
  }

  @Override
  public void upload(final MemorySegment from, final long address) {
    enqueue(() -> at(address, from.byteSize()).copyFrom(from));
  }

  @Override
  public void download(final long address, final MemorySegment to) {
    enqueue(() -> to.copyFrom(at(address, to.byteSize())));
  }

  @Override
  public void copy(final long from, final long to, final long bytes) {
    queue.add(() -> at(to, bytes).copyFrom(at(from, bytes)));
  }

  private MemorySegment at(final long address, final long bytes) {
    final Map.Entry<Long, Long> allocation = memory.floorEntry(address);
    if (allocation == null || address + bytes > allocation.getKey() + allocation.getValue()) {
      throw new DeviceException("illegal address " + address + " of " + bytes + " bytes");
    }
    return MemorySegment.ofAddress(address).reinterpret(bytes);
  }

  @Override
  public void launch(final Launch launch) {
    capturing.ifPresentOrElse(list -> list.add(launch), () -> queue.add(() -> run(launch)));
  }

  @Override
  public Graph capture(final Runnable launches) {
    final List<Launch> captured = new ArrayList<>();
    capturing = Optional.of(captured);
    launches.run();
    capturing = Optional.empty();
    return new Graph() {
      private boolean closed;

      @Override
      public void launch() {
        if (closed) {
          throw new DeviceException("the graph is closed");
        }
        captured.forEach(TwinDriver.this::launch);
      }

      @Override
      public void close() {
        closed = true;
      }
    };
  }

  private void enqueue(final Runnable work) {
    if (capturing.isPresent()) {
      throw new DeviceException("only launches are captured");
    }
    queue.add(work);
  }

  private void run(final Launch launch) {
    try (Arena call = Arena.ofConfined()) {
      final Object[] arguments = launch.arguments();
      final MemorySegment pointers = call.allocate(ADDRESS, arguments.length);
      for (int i = 0; i < arguments.length; i++) {
        final MemorySegment value =
            switch (arguments[i]) {
              case Long number -> call.allocateFrom(JAVA_LONG, number);
              case Integer number -> call.allocateFrom(JAVA_INT, number);
              case Float number -> call.allocateFrom(JAVA_FLOAT, number);
              default -> throw new AssertionError("argument of " + arguments[i].getClass());
            };
        pointers.setAtIndex(ADDRESS, i, value);
      }
      final MemorySegment name = call.allocateFrom(launch.kernel());
      if ((int) Library.HAS.invokeExact(name) == 0) {
        throw new DeviceException("there is no kernel " + launch.kernel());
      }
      final MemorySegment error =
          (MemorySegment)
              Library.LAUNCH.invokeExact(
                  name,
                  launch.gridX(),
                  launch.gridY(),
                  launch.threads(),
                  (long) launch.sharedBytes(),
                  pointers);
      if (!error.equals(MemorySegment.NULL)) {
        throw new DeviceException(error.reinterpret(LONGEST_MESSAGE).getString(0));
      }
    } catch (final RuntimeException | Error e) {
      throw e;
    } catch (final Throwable e) {
      throw new AssertionError(e);
    }
  }

  @Override
  public void synchronize() {
    queue.forEach(Runnable::run);
    queue.clear();
  }

  @Override
  public void close() {
    memory.keySet().forEach(TwinDriver::release);
    memory.clear();
    arena.close();
  }
}
