package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.streams.application.Application;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EndToEndTest {

  @Test
  void shouldAnswerFiftyPromptsOfEveryLengthAsTheOracleDoes(@TempDir final Path directory) {
    // given: 1 to 3,000 tokens, every second request sampled, and some of three choices
    final List<PromptRequest> requests = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      final int length = 1 + i * 2999 / 49;
      requests.add(
          i % 2 == 0
              ? Stories.ofLength("request-" + i, length, 24)
              : Stories.sampled("request-" + i, length, 24));
    }
    for (int i = 0; i < 6; i++) {
      requests.add(Stories.sentences("choices-" + i, 10 + 100 * i, 40));
    }
    try (DevelopmentBroker broker =
            DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")));
        Oracle oracle = new Oracle()) {
      final Map<String, Object> properties = new HashMap<>();
      properties.put("bootstrap.servers", broker.bootstrapServers());
      properties.put("application.id", "end-to-end");
      properties.put("schema.registry.url", "mock://tests");
      properties.put("state.dir", directory.resolve("state").toString());
      properties.put("num.stream.threads", 2);
      properties.put("sarathi.model", Stories.MODEL.toString());
      properties.put("sarathi.topics.partitions", 6);

      // when
      try (Application application = Application.start(properties);
          TokenLog log = new TokenLog(broker.bootstrapServers(), "tokens")) {
        Prompts.send(broker.bootstrapServers(), "prompts", requests);
        log.awaitTerminals(requests.size(), Duration.ofSeconds(180));

        // then
        assertThat(log.ids()).hasSize(requests.size());
        for (final PromptRequest request : requests) {
          log.assertExactlyOnce(request.getId().orElseThrow(), oracle.answers(request));
        }
        assertThat(application.isRunning()).isTrue();
      }
    }
  }
}
