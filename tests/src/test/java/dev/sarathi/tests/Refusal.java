package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.AppenderBase;
import dev.sarathi.streams.application.Application;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.slf4j.LoggerFactory;

/**
 * What an application says that is not let in, at its start or later. It runs in this JVM, which
 * has loaded all classes already: many of these are tried. What an operator sees is a {@link
 * ShippedApplication}'s to show.
 */
final class Refusal {
  private static final String STOPS = "the application stops: ";

  private Refusal() {}

  /** The one error of an application with these settings, which must end by itself. */
  static String of(final Path directory, final Map<String, String> settings, final Duration limit)
      throws Exception {
    final Queue<String> errors = new ConcurrentLinkedQueue<>();
    final Logger logger = (Logger) LoggerFactory.getLogger(Application.class);
    final AppenderBase<ILoggingEvent> appender =
        new AppenderBase<>() {
          @Override
          protected void append(final ILoggingEvent event) {
            if (event.getFormattedMessage().startsWith(STOPS)) {
              errors.add(event.getFormattedMessage().substring(STOPS.length()));
            }
          }
        };
    appender.setContext(logger.getLoggerContext());
    appender.start();
    logger.addAppender(appender);
    try (ExecutorService waiter = Executors.newSingleThreadExecutor();
        Application application =
            Application.start(ShippedApplication.completed(directory, settings))) {
      final boolean stopped =
          waiter.submit(application::awaitStop).get(limit.toMillis(), TimeUnit.MILLISECONDS);
      assertThat(stopped).as("stopped, rather than failed").isFalse();
      assertThat(errors).hasSize(1);
      return errors.element();
    } catch (final IllegalStateException e) {
      return e.getMessage();
    } finally {
      logger.detachAppender(appender);
    }
  }
}
