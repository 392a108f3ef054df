package dev.sarathi.runtime.execute.cuda;

import java.lang.foreign.MemorySegment;

/**
 * A device and its one queue of work, in which everything happens in order. Addresses are the
 * device's, as numbers.
 *
 * <p>Every method throws {@link DeviceException} when the device refuses; what fails in the queue
 * may be reported by any later call.
 *
 * <p>Threading: one thread at a time; another one calls {@link #attach()} first.
 */
public interface Driver extends AutoCloseable {

  /**
   * @param name as the maker calls it
   * @param architecture compute capability, for instance {@code sm_80}
   * @param processors how many streaming multiprocessors it has
   */
  record Device(String name, String architecture, int processors) {}

  /**
   * The first GPU's.
   *
   * @throws DeviceException if no GPU can be used here, saying why
   */
  static Driver open() {
    CudaExecutor.unavailable()
        .ifPresent(
            reason -> {
              throw new DeviceException(reason);
            });
    return new JcudaDriver();
  }

  Device device();

  /** Makes the calling thread the one that uses the device. */
  void attach();

  /** Bytes that could be allocated now. */
  long freeMemory();

  /** Allocates memory, aligned to 256 bytes, of no particular content. */
  long allocate(long bytes);

  void free(long address);

  /** Host memory that the device copies from and to without a detour; freed with the driver. */
  MemorySegment hostMemory(long bytes);

  void fillWithZeros(long address, long bytes);

  /**
   * Queues a copy; {@code from} is host memory and is not changed before {@link #synchronize()}.
   */
  void upload(MemorySegment from, long address);

  /** Queues a copy; {@code to} is host memory and is not read before {@link #synchronize()}. */
  void download(long address, MemorySegment to);

  /** Queues a copy from one place on the device to another. */
  void copy(long from, long to, long bytes);

  /** Queues a kernel. */
  void launch(Launch launch);

  /** Launches with all their arguments, which the device starts by itself, one after the other. */
  interface Graph extends AutoCloseable {
    /** Queues them all. */
    void launch();

    /** To be called when none of them is in the queue. */
    @Override
    void close();
  }

  /**
   * Captures launches instead of queueing them.
   *
   * @param launches calls {@link #launch(Launch)} and no other method
   * @return freed with the driver
   */
  Graph capture(Runnable launches);

  /** Waits until the queue is empty. */
  void synchronize();

  /** Frees everything; from any thread. */
  @Override
  void close();
}
