package dev.sarathi.examples.labels;

import static org.apache.kafka.common.serialization.Serdes.String;

import dev.sarathi.examples.ExampleApplication;
import dev.sarathi.runtime.Constraint;
import dev.sarathi.runtime.FinishReason;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.streams.Generation;
import dev.sarathi.streams.GenerationResult.Completion;
import java.util.List;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;

/** Messages in, keyed by id; to each its label out. The model can write nothing but a label. */
public final class MessageLabels {
  private static final List<String> LABELS = List.of("billing", "outage", "praise");

  public static Topology topology(final GenerationEngine engine) {
    final StreamsBuilder builder = new StreamsBuilder();
    builder.stream("messages", Consumed.with(String(), String()))
        .process(
            Generation.<String, String>using(engine)
                .id((id, message) -> id)
                .request(MessageLabels::request)
                .carrying(String(), String())
                .completions(MessageLabels::label)
                .as("label"))
        .to("labels", Produced.with(String(), String()));
    return builder.build();
  }

  private static GenerationRequest request(final String id, final String message) {
    return GenerationRequest.of(id, "Message: " + message + "\nLabel: ")
        .withConstraint(Constraint.oneOf(LABELS));
  }

  private static String label(final Completion<String, String> completion) {
    return completion.finish().reason() == FinishReason.STOP ? completion.text() : "unlabelled";
  }

  public static void main(final String... arguments) {
    ExampleApplication.run("labels", MessageLabels::topology, arguments);
  }
}
