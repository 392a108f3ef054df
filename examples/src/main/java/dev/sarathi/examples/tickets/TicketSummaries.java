package dev.sarathi.examples.tickets;

import static org.apache.kafka.common.serialization.Serdes.String;

import dev.sarathi.examples.ExampleApplication;
import dev.sarathi.examples.Json;
import dev.sarathi.runtime.FinishReason;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.streams.Generation;
import dev.sarathi.streams.GenerationResult.Completion;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Produced;

/**
 * Tickets in, summaries out. Tickets are keyed by customer and joined with the customers' names
 * before they are summarised: the request then carries the name that held when the ticket came.
 */
public final class TicketSummaries {
  private static final Serde<Ticket> TICKETS = Json.serde(Ticket.class);
  private static final Serde<Case> CASES = Json.serde(Case.class);
  private static final Serde<Summary> SUMMARIES = Json.serde(Summary.class);

  public record Ticket(String id, String text) {}

  public record Case(Ticket ticket, String customer) {}

  public record Summary(String ticket, String customer, String text, FinishReason end) {
    static Summary of(final Completion<String, Case> completion) {
      final Case of = completion.origin().value().orElseThrow();
      // An error is a summary, too: without text, and with its reason to end.
      return new Summary(
          of.ticket.id, of.customer, completion.text(), completion.finish().reason());
    }
  }

  public static Topology topology(final GenerationEngine engine) {
    final StreamsBuilder builder = new StreamsBuilder();
    final KTable<String, String> customers =
        builder.table("customers", Consumed.with(String(), String()));
    builder.stream("tickets", Consumed.with(String(), TICKETS))
        .join(customers, Case::new, Joined.with(String(), TICKETS, String()))
        .process(
            Generation.<String, Case>using(engine)
                .id((key, of) -> of.ticket.id)
                .request((key, of) -> request(of.ticket))
                .carrying(String(), CASES)
                .completions(Summary::of)
                .as("summarise"))
        .to("summaries", Produced.with(String(), SUMMARIES));
    return builder.build();
  }

  private static GenerationRequest request(final Ticket ticket) {
    return GenerationRequest.of(ticket.id, ticket.text + "\nIn short:").withMaxTokens(60);
  }

  public static void main(final String... arguments) {
    ExampleApplication.run("tickets", TicketSummaries::topology, arguments);
  }
}
