package dev.sarathi.runtime.benchmark.gpu;

import dev.sarathi.runtime.execute.cuda.Driver;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Set;

/**
 * How long a device has nothing to do: from when its queue is known to be empty to when it is
 * handed the next thing.
 *
 * <p>Threading: one thread at a time, as the driver.
 */
final class IdleTime implements InvocationHandler {
  /** All others of the driver's methods put something into its queue. */
  private static final Set<String> QUEUE_NOTHING =
      Set.of("device", "attach", "freeMemory", "allocate", "free", "hostMemory", "close");

  private final Driver driver;
  private boolean busy;
  private long since;
  private long idle;

  IdleTime(final Driver driver) {
    this.driver = driver;
    this.since = System.nanoTime();
  }

  /** The driver, watched. */
  Driver driver() {
    return (Driver)
        Proxy.newProxyInstance(Driver.class.getClassLoader(), new Class<?>[] {Driver.class}, this);
  }

  @Override
  public Object invoke(final Object proxy, final Method method, final Object[] arguments)
      throws Throwable {
    final boolean waits = method.getName().equals("synchronize");
    if (!waits && !busy && !QUEUE_NOTHING.contains(method.getName())) {
      idle += System.nanoTime() - since;
      busy = true;
    }
    try {
      return method.invoke(driver, arguments);
    } catch (final InvocationTargetException e) {
      throw e.getCause();
    } finally {
      if (waits && busy) {
        since = System.nanoTime();
        busy = false;
      }
    }
  }

  /** Nanoseconds that have ended since this was last asked. */
  long take() {
    final long taken = idle;
    idle = 0;
    return taken;
  }
}
