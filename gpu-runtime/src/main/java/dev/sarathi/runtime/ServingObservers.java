package dev.sarathi.runtime;

import java.util.Arrays;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Those who look on at an engine's work. An array and plain loops: a lambda or an iterator for each
 * token would be an object for each token.
 *
 * <p>Threading: any thread adds, the engine thread calls.
 */
final class ServingObservers implements ServingObserver {
  private static final Logger LOG = LoggerFactory.getLogger(ServingObservers.class);

  private volatile ServingObserver[] observers = {};

  synchronized void add(final ServingObserver observer) {
    final ServingObserver[] more = Arrays.copyOf(observers, observers.length + 1);
    more[observers.length] = observer;
    observers = more;
  }

  private synchronized void drop(final ServingObserver observer, final RuntimeException failure) {
    LOG.error("serving observer {} failed and is dropped", observer.getClass().getName(), failure);
    observers = Arrays.stream(observers).filter(o -> o != observer).toArray(ServingObserver[]::new);
  }

  @Override
  public void onBatch(final int tokens, final long nanos) {
    for (final ServingObserver observer : observers) {
      try {
        observer.onBatch(tokens, nanos);
      } catch (final RuntimeException e) {
        drop(observer, e);
      }
    }
  }

  @Override
  public void onBegin(final int promptTokens, final long queuedNanos) {
    for (final ServingObserver observer : observers) {
      try {
        observer.onBegin(promptTokens, queuedNanos);
      } catch (final RuntimeException e) {
        drop(observer, e);
      }
    }
  }

  @Override
  public void onFirstToken(final long nanos) {
    for (final ServingObserver observer : observers) {
      try {
        observer.onFirstToken(nanos);
      } catch (final RuntimeException e) {
        drop(observer, e);
      }
    }
  }

  @Override
  public void onNextToken(final long gapNanos) {
    for (final ServingObserver observer : observers) {
      try {
        observer.onNextToken(gapNanos);
      } catch (final RuntimeException e) {
        drop(observer, e);
      }
    }
  }

  @Override
  public void onFinish(final Finish finish) {
    for (final ServingObserver observer : observers) {
      try {
        observer.onFinish(finish);
      } catch (final RuntimeException e) {
        drop(observer, e);
      }
    }
  }
}
