package dev.sarathi.streams.cli;

import dev.sarathi.schemas.Priority;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.SarathiSerdes;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.StringSerializer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code ./sarathi submit}: prompts into a topic. */
@Command(
    name = "submit",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = {
      "Writes prompts to a topic, keyed by request id, and prints the ids that were stored.",
      "A prompts file has one request a line: a JSON string, or an object with the fields of"
          + " PromptRequest. The options below hold for what a line leaves out."
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {"0:all were stored", "1:some were not; the others were", "2:misuse"})
public final class SubmitCommand implements Callable<Integer> {

  // Someone waits at a terminal: give up sooner than a service would.
  private static final Map<String, Object> PATIENCE =
      Map.of(
          ProducerConfig.MAX_BLOCK_MS_CONFIG, 15_000,
          ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG, 10_000,
          ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, 30_000);

  @Mixin private ClientOptions client = new ClientOptions();

  @Parameters(paramLabel = "PROMPT", arity = "0..*", description = "Prompts as text.")
  private List<String> prompts = new ArrayList<>();

  @Option(
      names = "--file",
      paramLabel = "FILE",
      description = "Prompts as JSON lines; - is standard input.")
  private Optional<String> file = Optional.empty();

  @Option(
      names = "--topic",
      defaultValue = "prompts",
      description = "The topic (default: ${DEFAULT-VALUE}).")
  private String topic;

  @Option(
      names = "--id",
      description = "The request's id, for a single prompt (default: a random UUID).")
  private Optional<String> id = Optional.empty();

  @Option(names = "--max-tokens", paramLabel = "N", description = "The most tokens to generate.")
  private Optional<Integer> maxTokens = Optional.empty();

  @Mixin private SamplingOptions sampling = new SamplingOptions(1);

  @Option(
      names = "--chat",
      description = "The prompts are what a user says, for the model's chat template.")
  private boolean chat;

  @Option(
      names = "--system",
      paramLabel = "TEXT",
      description = "What the model is told before the user speaks; implies --chat.")
  private Optional<String> system = Optional.empty();

  @Option(
      names = "--priority",
      defaultValue = "INTERACTIVE",
      description = "One of ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
  private Priority priority;

  @Option(
      names = "--deadline",
      paramLabel = "MS",
      description = "Ends the generation this many milliseconds from now.")
  private Optional<Long> deadline = Optional.empty();

  @Option(names = "--model", description = "The model's name, where the application has several.")
  private Optional<String> model = Optional.empty();

  @Option(names = "--tenant", description = "On whose account it is served.")
  private Optional<String> tenant = Optional.empty();

  @Option(names = "--job", description = "A job id, copied to the results.")
  private Optional<String> job = Optional.empty();

  @Spec private CommandSpec command;

  private final AtomicLong stored = new AtomicLong();
  private final AtomicLong failed = new AtomicLong();

  @Override
  public Integer call() {
    if (prompts.isEmpty() == file.isEmpty()) {
      throw new ParameterException(
          command.commandLine(), "Give either prompts as arguments or --file");
    }
    if (id.isPresent() && prompts.size() != 1) {
      throw new ParameterException(
          command.commandLine(), "--id is for a single prompt; in a file, use the field id");
    }
    final Map<String, Object> properties = client.properties();
    PATIENCE.forEach(properties::putIfAbsent);
    try (Producer<String, PromptRequest> producer =
        new KafkaProducer<>(
            properties,
            new StringSerializer(),
            SarathiSerdes.promptRequest(properties).serializer())) {
      // Once, instead of a wait for each of the prompts.
      producer.partitionsFor(topic);
      if (file.isPresent()) {
        submitFile(producer, file.get());
      } else {
        submitArguments(producer);
      }
      producer.flush();
    } catch (TimeoutException e) {
      report(
          "Kafka did not answer: %s (--bootstrap-server %s)"
              .formatted(describe(e), properties.get(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG)));
    } catch (IOException | KafkaException e) {
      report(describe(e));
    }
    final PrintWriter err = command.commandLine().getErr();
    if (failed.get() > 0) {
      err.println(stored + " stored, " + failed + " failed");
    }
    err.flush();
    command.commandLine().getOut().flush();
    return failed.get() == 0 ? 0 : 1;
  }

  private void submitArguments(final Producer<String, PromptRequest> producer) {
    for (String prompt : prompts) {
      send(producer, defaults().setPrompt(prompt).build(), "prompt");
    }
  }

  private void submitFile(final Producer<String, PromptRequest> producer, final String name)
      throws IOException {
    final PromptRequest.Builder defaults = defaults();
    int number = 0;
    try (BufferedReader lines = open(name)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        final String place = (name.equals("-") ? "standard input" : name) + ":" + ++number;
        if (line.isBlank()) {
          continue;
        }
        try {
          send(producer, PromptLine.parse(line, defaults), place);
        } catch (InvalidPromptException e) {
          report(place + ": " + e.getMessage());
        }
      }
    }
  }

  private static BufferedReader open(final String name) throws IOException {
    return name.equals("-")
        ? new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))
        : Files.newBufferedReader(Path.of(name));
  }

  private PromptRequest.Builder defaults() {
    return sampling
        .request()
        .setId(id.orElse(null))
        .setMaxTokens(maxTokens.orElse(null))
        .setPriority(priority)
        .setDeadlineMs(deadline.orElse(null))
        .setModel(model.orElse(null))
        .setTenant(tenant.orElse(""))
        .setJobId(job.orElse(null));
  }

  /** A prompt as text becomes what the user says, if so asked. */
  private PromptRequest spoken(final PromptRequest request) {
    if (!chat && system.isEmpty() || request.getPrompt().isEmpty()) {
      return request;
    }
    return PromptRequest.newBuilder(request)
        .setPrompt(null)
        .setMessages(Conversation.of(system, request.getPrompt().get()))
        .build();
  }

  private void send(
      final Producer<String, PromptRequest> producer,
      final PromptRequest given,
      final String place) {
    final String key = given.getId().orElseGet(() -> UUID.randomUUID().toString());
    final PromptRequest request = PromptRequest.newBuilder(spoken(given)).setId(key).build();
    producer.send(
        new ProducerRecord<>(topic, key, request),
        (_, failure) -> {
          if (failure == null) {
            stored.incrementAndGet();
            print(key);
          } else {
            report(place + ": " + describe(failure));
          }
        });
  }

  // Both are called on this thread and, as records are acknowledged, on the producer's.
  private synchronized void print(String line) {
    command.commandLine().getOut().println(line);
  }

  private synchronized void report(final String failure) {
    failed.incrementAndGet();
    command.commandLine().getErr().println(failure);
  }

  private static String describe(final Throwable failure) {
    Throwable root = failure;
    while (root.getCause() != null) {
      root = root.getCause();
    }
    return root == failure ? failure.getMessage() : failure.getMessage() + ": " + root.getMessage();
  }
}
