package dev.sarathi.examples.tickets;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.examples.ExampleDriver;
import dev.sarathi.examples.Json;
import dev.sarathi.examples.RunningExample;
import dev.sarathi.examples.tickets.TicketSummaries.Summary;
import dev.sarathi.examples.tickets.TicketSummaries.Ticket;
import dev.sarathi.runtime.FinishReason;
import dev.sarathi.runtime.TestEngine;
import java.nio.file.Path;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TestOutputTopic;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TicketSummariesTest {
  @TempDir private Path directory;

  @Test
  void shouldSummariseTicketsOfKnownCustomers() {
    try (TestEngine engine = TestEngine.answering(TicketSummariesTest::answer);
        ExampleDriver driver =
            new ExampleDriver(TicketSummaries::topology, engine.engine(), directory)) {
      // given
      final TestInputTopic<String, Ticket> tickets =
          driver.input("tickets", Json.serde(Ticket.class));
      final TestOutputTopic<String, Summary> summaries =
          driver.output("summaries", Json.serde(Summary.class));
      driver.input("customers").pipeInput("c1", "Ada");

      // when
      tickets.pipeInput("c1", new Ticket("t1", "The printer burns."));
      tickets.pipeInput("c2", new Ticket("t2", "Whose is this?"));
      tickets.pipeInput("c1", new Ticket("t3", "unreadable"));
      tickets.pipeInput("c1", new Ticket("t1", "The printer burns."));
      driver.generate();

      // then
      assertThat(summaries.readKeyValuesToList())
          .containsExactly(
              KeyValue.pair("c1", new Summary("t1", "Ada", " Fire.", FinishReason.STOP)),
              KeyValue.pair("c1", new Summary("t3", "Ada", "", FinishReason.ERROR)));
    }
  }

  private static String answer(final String prompt) {
    return switch (prompt) {
      case "The printer burns.\nIn short:" -> " Fire.";
      default -> throw new IllegalArgumentException("no answer to " + prompt);
    };
  }

  @Test
  void shouldRunOnABroker() throws Exception {
    try (RunningExample example =
        new RunningExample(
            TicketSummaries::topology, directory, "customers", "tickets", "summaries")) {
      // when
      example.send("customers", "c1", "Ada");
      example.send(
          "tickets", "c1", "{\"id\": \"t1\", \"text\": \"Nora found a lamp in the garden.\"}");

      // then
      final Summary summary =
          Json.serde(Summary.class)
              .deserializer()
              .deserialize("", example.read("summaries", 1).getFirst().value().getBytes());
      assertThat(summary.customer()).isEqualTo("Ada");
      assertThat(summary.text()).isNotBlank();
    }
  }
}
