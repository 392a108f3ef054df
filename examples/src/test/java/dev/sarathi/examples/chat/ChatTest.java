package dev.sarathi.examples.chat;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.examples.ExampleDriver;
import dev.sarathi.examples.RunningExample;
import dev.sarathi.runtime.ChatMessage;
import dev.sarathi.runtime.TestEngine;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TestOutputTopic;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChatTest {
  @TempDir private Path directory;

  /** Counts the users' lines that it was shown. */
  private static String answer(final String prompt) {
    return " " + (prompt.split("user:").length - 1);
  }

  @Test
  void shouldAnswerWithAllThatWasSaidBefore() {
    final List<String> prompts = new ArrayList<>();
    try (TestEngine engine =
            TestEngine.answering(
                prompt -> {
                  prompts.add(prompt);
                  return answer(prompt);
                });
        ExampleDriver driver = new ExampleDriver(Chat::topology, engine.engine(), directory)) {
      // given
      final TestInputTopic<String, String> turns = driver.input("turns");

      // when
      turns.pipeInput("talk", "Hello");
      driver.generate();
      turns.pipeInput("talk", "And now?");
      driver.generate();

      // then
      assertThat(driver.output("replies").readValuesToList()).containsExactly(" 1", " 2");
      assertThat(prompts)
          .containsExactly(
              "user: Hello\nassistant:", "user: Hello\nassistant:  1\nuser: And now?\nassistant:");
      assertThat(driver.output("history", Talk.SERDE).readValuesToList().getLast().messages())
          .extracting(ChatMessage::content)
          .containsExactly("Hello", " 1", "And now?", " 2");
    }
  }

  @Test
  void shouldLetWhatIsSaidMeanwhileWaitForTheReply() {
    try (TestEngine engine = TestEngine.answering(ChatTest::answer);
        ExampleDriver driver = new ExampleDriver(Chat::topology, engine.engine(), directory)) {
      // given
      final TestInputTopic<String, String> turns = driver.input("turns");
      final TestOutputTopic<String, String> replies = driver.output("replies");
      engine.hold();
      turns.pipeInput("slow", "One");
      driver.generate();

      // when
      engine.generate(1);
      turns.pipeInput("slow", "Two");
      turns.pipeInput("slow", "Three");
      turns.pipeInput("other", "Hello");
      driver.generate();
      assertThat(replies.isEmpty()).isTrue();
      engine.release();
      driver.generate();

      // then: both lines are asked at once, behind the reply to the first
      assertThat(replies.readKeyValuesToList())
          .containsExactly(KeyValue.pair("slow", " 1"), KeyValue.pair("other", " 1"));
      driver.generate();
      assertThat(replies.readKeyValuesToList()).containsExactly(KeyValue.pair("slow", " 3"));
      assertThat(driver.output("history", Talk.SERDE).readValuesToList().getLast().messages())
          .extracting(ChatMessage::content)
          .containsExactly("One", " 1", "Two", "Three", " 3");
    }
  }

  @Test
  void shouldGoOnAfterAnError() {
    try (TestEngine engine =
            TestEngine.answering(
                prompt -> {
                  if (prompt.endsWith("user: Crash!\nassistant:")) {
                    throw new IllegalArgumentException("out of words");
                  }
                  return " Hi";
                });
        ExampleDriver driver = new ExampleDriver(Chat::topology, engine.engine(), directory)) {
      driver.input("turns").pipeInput("talk", "Crash!");
      driver.generate();
      driver.input("turns").pipeInput("talk", "Hello?");
      driver.generate();

      assertThat(driver.output("replies").readValuesToList())
          .containsExactly("out of words", " Hi");
    }
  }

  @Test
  void shouldRunOnABroker() throws Exception {
    try (RunningExample example =
        new RunningExample(Chat::topology, directory, "turns", "history", "replies")) {
      // when
      for (final String key : List.of("a", "b", "c")) {
        example.send("turns", key, "Tell me of Nora.");
        example.send("turns", key, "And of her brother.");
      }

      // then: to each line, with all before it
      assertThat(example.read("history", 6))
          .filteredOn(ChatTest::answersBoth)
          .extracting(ConsumerRecord::key)
          .containsExactlyInAnyOrder("a", "b", "c");
    }
  }

  private static boolean answersBoth(final ConsumerRecord<String, String> talk) {
    return Talk.SERDE.deserializer().deserialize("", talk.value().getBytes()).messages().stream()
            .filter(message -> message.role().equals("user"))
            .count()
        == 2;
  }
}
