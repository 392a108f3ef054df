package dev.sarathi.runtime.execute.cuda;

import java.lang.foreign.MemorySegment;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;

/** Counts what the twin is asked for. */
final class CountingDriver implements InvocationHandler {
  private final Driver twin;
  int captured;
  int replayed;
  long downloadedBytes;

  CountingDriver(final long seed) {
    twin = new TwinDriver(seed);
  }

  /** The twin, watched. */
  Driver driver() {
    return (Driver)
        Proxy.newProxyInstance(Driver.class.getClassLoader(), new Class<?>[] {Driver.class}, this);
  }

  @Override
  public Object invoke(final Object proxy, final Method method, final Object[] arguments)
      throws Throwable {
    final Object result;
    try {
      result = method.invoke(twin, arguments);
    } catch (final InvocationTargetException e) {
      throw e.getCause();
    }
    return switch (method.getName()) {
      case "download" -> {
        downloadedBytes += ((MemorySegment) arguments[1]).byteSize();
        yield result;
      }
      case "capture" -> {
        captured++;
        yield counted((Driver.Graph) result);
      }
      default -> result;
    };
  }

  private Driver.Graph counted(final Driver.Graph graph) {
    return new Driver.Graph() {
      @Override
      public void launch() {
        replayed++;
        graph.launch();
      }

      @Override
      public void close() {
        graph.close();
      }
    };
  }
}
