package dev.sarathi.examples.labels;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.examples.ExampleDriver;
import dev.sarathi.examples.RunningExample;
import dev.sarathi.runtime.TestEngine;
import java.nio.file.Path;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.TestOutputTopic;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MessageLabelsTest {
  @TempDir private Path directory;

  @Test
  void shouldLabelMessages() {
    try (TestEngine engine = TestEngine.answering(MessageLabelsTest::answer);
        ExampleDriver driver =
            new ExampleDriver(MessageLabels::topology, engine.engine(), directory)) {
      // given
      final TestOutputTopic<String, String> labels = driver.output("labels");

      // when
      driver.input("messages").pipeInput("m1", "I was charged twice.");
      driver.input("messages").pipeInput("m2", "???");
      driver.generate();

      // then
      assertThat(labels.readKeyValuesToList())
          .containsExactly(KeyValue.pair("m1", "billing"), KeyValue.pair("m2", "unlabelled"));
    }
  }

  private static String answer(final String prompt) {
    if (prompt.contains("charged")) {
      return "billing";
    }
    throw new IllegalArgumentException("no label for " + prompt);
  }

  @Test
  void shouldRunOnABroker() throws Exception {
    try (RunningExample example =
        new RunningExample(MessageLabels::topology, directory, "messages", "labels")) {
      // when
      for (int i = 0; i < 10; i++) {
        example.send("messages", "m" + i, "Nothing works since " + i + " o'clock.");
      }

      // then: whatever the model thinks of it
      assertThat(example.read("labels", 10))
          .extracting(ConsumerRecord::value)
          .isSubsetOf("billing", "outage", "praise");
    }
  }
}
