package dev.sarathi.runtime.execute.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

class UploadProgressTest {
  private static final long SECOND = 1_000_000_000;

  private final Logger logger = (Logger) LoggerFactory.getLogger(UploadProgress.class);
  private final ListAppender<ILoggingEvent> logged = new ListAppender<>();
  private long now;

  @BeforeEach
  void listen() {
    logged.start();
    logger.addAppender(logged);
    logger.setAdditive(false);
  }

  @AfterEach
  void leave() {
    logger.detachAppender(logged);
    logger.setAdditive(true);
  }

  private List<String> upload(final int steps, final long nanosEach) {
    final UploadProgress progress = new UploadProgress(100L * steps, () -> now);
    for (int i = 0; i < steps; i++) {
      now += nanosEach;
      progress.uploaded(100);
    }
    return logged.list.stream().map(ILoggingEvent::getFormattedMessage).toList();
  }

  @Test
  void shouldSayNothingOfAnUploadOfASecond() {
    assertThat(upload(100, SECOND / 100)).isEmpty();
  }

  @Test
  void shouldTellEachTenPercentAfterTwoSeconds() {
    // 1,000 steps in 10 s: a tenth each second
    assertThat(upload(1000, SECOND / 100))
        .hasSize(9)
        .startsWith("uploading weights: 20 % (20000 of 100000 bytes) after 2 s")
        .endsWith("uploading weights: 100 % (100000 of 100000 bytes) after 10 s");
  }

  @Test
  void shouldBreakALongSilence() {
    // 100 steps in 100 s, of which ten percent take 10 s
    assertThat(upload(100, SECOND))
        .hasSize(20)
        .startsWith("uploading weights: 5 % (500 of 10000 bytes) after 5 s");
  }
}
