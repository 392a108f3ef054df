package dev.sarathi.streams.cli;

import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.schemas.TokenRecord;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RecordDeserializationException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.StringDeserializer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code ./sarathi tail}: what is being generated, as it is committed. */
@Command(
    name = "tail",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = {
      "Follows the token records of a topic and shows the text of each request as it grows.",
      "Only committed records are shown. On a terminal, a line for each running request; elsewhere,"
          + " whole lines of text."
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:the number of requests given with --until-done has ended",
      "1:Kafka or the schema registry failed",
      "2:misuse"
    })
public final class TailCommand implements Callable<Integer> {

  private static final Duration POLL = Duration.ofMillis(100);

  @Mixin private ClientOptions client = new ClientOptions();

  @Option(
      names = "--topic",
      defaultValue = "tokens",
      description = "The topic (default: ${DEFAULT-VALUE}).")
  private String topic;

  @Option(
      names = "--from-beginning",
      description = "Starts with the oldest record, not with the next.")
  private boolean fromBeginning;

  @Option(
      names = "--request",
      paramLabel = "ID",
      description = "Shows this request alone; may be given more than once.")
  private Set<String> requests = new HashSet<>();

  @Option(
      names = "--until-done",
      paramLabel = "N",
      description = "Exits after N requests have ended.")
  private Optional<Long> untilDone = Optional.empty();

  @Option(names = "--json", description = "Prints a JSON object for each record.")
  private boolean json;

  @Spec private CommandSpec command;

  @Override
  public Integer call() throws InterruptedException {
    untilDone
        .filter(count -> count < 1)
        .ifPresent(
            count -> {
              throw new ParameterException(
                  command.commandLine(), "--until-done is " + count + ", must be at least 1");
            });
    final Map<String, Object> properties = new HashMap<>(client.properties());
    properties.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
    // Asking for a topic would create it, with the broker's number of partitions.
    properties.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, false);
    properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    properties.putIfAbsent(ConsumerConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, 15_000);
    try (Consumer<String, TokenRecord> consumer =
        new KafkaConsumer<>(
            properties,
            new StringDeserializer(),
            SarathiSerdes.tokenRecord(properties).deserializer())) {
      assign(consumer);
      follow(consumer);
      return 0;
    } catch (TimeoutException e) {
      return fail(
          "Kafka did not answer: %s (--bootstrap-server %s)"
              .formatted(e.getMessage(), properties.get(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG)));
    } catch (RecordDeserializationException e) {
      return fail(
          "%s, offset %d, is no token record: %s"
              .formatted(e.topicPartition(), e.offset(), e.getCause().getMessage()));
    } catch (KafkaException e) {
      return fail(e.getMessage());
    }
  }

  // No consumer group: whoever watches takes no part, and leaves nothing behind.
  private void assign(final Consumer<String, TokenRecord> consumer) throws InterruptedException {
    List<TopicPartition> partitions = partitions(consumer);
    final boolean waited = partitions.isEmpty();
    if (waited) {
      err().println("Waiting for the topic " + topic);
      err().flush();
    }
    while (partitions.isEmpty()) {
      Thread.sleep(500);
      partitions = partitions(consumer);
    }
    consumer.assign(partitions);
    if (fromBeginning || waited) {
      consumer.seekToBeginning(partitions);
    } else {
      consumer.seekToEnd(partitions);
    }
    // Seeking is lazy: without this, records that come before the first poll would be left out.
    partitions.forEach(consumer::position);
  }

  private List<TopicPartition> partitions(final Consumer<String, TokenRecord> consumer) {
    return consumer.partitionsFor(topic).stream()
        .map(partition -> new TopicPartition(topic, partition.partition()))
        .toList();
  }

  private void follow(final Consumer<String, TokenRecord> consumer) {
    final TokenView view = view();
    long left = untilDone.orElse(Long.MAX_VALUE);
    // An error is a reader that has gone, such as `head`.
    while (left > 0 && !command.commandLine().getOut().checkError()) {
      for (ConsumerRecord<String, TokenRecord> record : consumer.poll(POLL)) {
        final TokenRecord tokens = record.value();
        if (left == 0 || tokens == null || isFilteredOut(tokens)) {
          continue;
        }
        view.show(tokens);
        if (tokens.getLast()) {
          left--;
        }
      }
      view.refresh();
    }
  }

  private boolean isFilteredOut(final TokenRecord tokens) {
    return !requests.isEmpty() && !requests.contains(tokens.getRequestId());
  }

  private TokenView view() {
    final PrintWriter out = command.commandLine().getOut();
    if (json) {
      return new TokenView.Json(out);
    }
    return Terminal.attached()
        .<TokenView>map(size -> new TokenView.Live(out, size.columns(), size.rows()))
        .orElseGet(() -> new TokenView.Lines(out));
  }

  private PrintWriter err() {
    return command.commandLine().getErr();
  }

  private int fail(final String message) {
    err().println(message);
    err().flush();
    return 1;
  }
}
