package dev.sarathi.streams.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sarathi.schemas.FinishReason;
import dev.sarathi.streams.SarathiConfig;
import dev.sarathi.streams.admin.Cancellation;
import dev.sarathi.streams.admin.DeadLetter;
import dev.sarathi.streams.admin.Requeue;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.Predicate;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.config.ConfigException;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code ./sarathi admin}: looks at a running application and steers it. */
@Command(
    name = "admin",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = "Looks at the requests of a running application, and steers them.",
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      AdminCommand.ListRequests.class,
      AdminCommand.Show.class,
      AdminCommand.Cancel.class,
      AdminCommand.RequeueLetters.class,
    })
public final class AdminCommand implements Runnable {
  private static final int TEXT_COLUMNS = 36;

  @Spec private CommandSpec command;

  @Override
  public void run() {
    command.commandLine().usage(command.commandLine().getOut());
  }

  /** Where an instance listens. */
  private static final class Url {
    @Option(
        names = "--url",
        required = true,
        paramLabel = "URL",
        description =
            "An instance, such as http://127.0.0.1:8080 where its sarathi.http.listen is"
                + " 127.0.0.1:8080; it names the others.")
    private String url;
  }

  /** The application's properties, for commands that read and write topics. */
  private static final class ApplicationFile {
    @Option(
        names = "--application",
        required = true,
        paramLabel = "FILE",
        description = "The properties that the application runs with.")
    private Path file;

    private SarathiConfig config(final CommandSpec command) {
      final Map<String, Object> properties = PropertiesFile.read(file, "--application", command);
      // Of no use here, and it may not be on this machine.
      properties.putIfAbsent(SarathiConfig.MODEL_CONFIG, "");
      try {
        return SarathiConfig.of(properties);
      } catch (final ConfigException e) {
        throw new ParameterException(command.commandLine(), file + ": " + e.getMessage(), e);
      }
    }
  }

  /** {@code ./sarathi admin list}. */
  @Command(
      name = "list",
      mixinStandardHelpOptions = true,
      description = {
        "Lists unfinished requests, of all instances, the oldest first.",
        "What the stores have may not be committed yet: after a crash, the last tokens seen here"
            + " come again."
      },
      exitCodeListHeading = "%nExit codes:%n",
      exitCodeList = {
        "0:every instance answered",
        "1:some did not",
        "3:not even the one that was named"
      })
  static final class ListRequests implements Callable<Integer> {
    @Spec private CommandSpec command;

    @ArgGroup(multiplicity = "1")
    private Url instance;

    @Option(names = "--state", description = "waiting or running (default: both).")
    private Optional<String> state = Optional.empty();

    @Option(
        names = "--limit",
        paramLabel = "N",
        description = "The most of each instance, up to 1000 (default: ${DEFAULT-VALUE}).")
    private int limit = 100;

    @Option(names = "--json", description = "Print a JSON object for each request.")
    private boolean json;

    @Override
    public Integer call() throws InterruptedException {
      final PrintWriter out = command.commandLine().getOut();
      final PrintWriter err = command.commandLine().getErr();
      final List<AdminClient.Reply> replies;
      try (AdminClient client = new AdminClient(instance.url)) {
        replies =
            client.askAll(
                "/requests?limit=" + limit + state.map(name -> "&state=" + name).orElse(""));
      }
      final List<JsonNode> requests = new ArrayList<>();
      boolean complete = true;
      long unfinished = 0;
      for (final AdminClient.Reply reply : replies) {
        reply.body().ifPresent(body -> body.path("requests").forEach(requests::add));
        complete &= reply.body().map(body -> body.path("complete").asBoolean()).orElse(false);
        unfinished += reply.body().map(body -> body.path("unfinished").asLong()).orElse(0L);
        if (reply.body().isEmpty()) {
          err.printf("%s does not answer: %s%n", reply.instance(), reply.problem());
        }
      }
      requests.sort(Comparator.comparing(request -> -request.path("age_ms").asLong()));
      if (json) {
        requests.forEach(out::println);
      } else {
        show(requests, out);
        out.printf(
            Locale.ROOT,
            "%,d requests%s; the stores hold about %,d, uncommitted ones too%n",
            requests.size(),
            complete ? "" : ", and there are more",
            unfinished);
      }
      out.flush();
      err.flush();
      return replies.stream().allMatch(reply -> reply.body().isPresent()) ? 0 : 1;
    }

    private static void show(final List<JsonNode> requests, final PrintWriter out) {
      final String line = "%-36s  %-7s  %7s  %8s  %-11s  %9s  %s%n";
      out.printf(line, "ID", "STATE", "TOKENS", "ATTEMPTS", "PRIORITY", "AGE", "PROMPT");
      for (final JsonNode request : requests) {
        out.printf(
            line,
            shortened(request.path("id").asText()),
            request.path("state").asText(),
            request.path("tokens").asText(),
            request.path("attempts").asText(),
            request.path("priority").asText(),
            age(request.path("age_ms").asLong()),
            "%s-%d@%d"
                .formatted(
                    request.path("topic").asText(),
                    request.path("partition").asInt(),
                    request.path("offset").asLong()));
      }
    }
  }

  /** {@code ./sarathi admin show}. */
  @Command(
      name = "show",
      mixinStandardHelpOptions = true,
      description = "Shows all that is known of an unfinished request, uncommitted as it may be.",
      exitCodeListHeading = "%nExit codes:%n",
      exitCodeList = {"0:it was found", "1:no instance has it", "3:no instance answers"})
  static final class Show implements Callable<Integer> {
    @Spec private CommandSpec command;

    @ArgGroup(multiplicity = "1")
    private Url instance;

    @Parameters(paramLabel = "ID", description = "The request's id.")
    private String id;

    @Override
    public Integer call() throws InterruptedException {
      final Optional<JsonNode> found;
      try (AdminClient client = new AdminClient(instance.url)) {
        found = client.find(id);
      }
      if (found.isEmpty()) {
        command.commandLine().getErr().println("no instance has an unfinished request " + id);
        command.commandLine().getErr().flush();
        return 1;
      }
      command.commandLine().getOut().println(found.get().toPrettyString());
      command.commandLine().getOut().flush();
      return 0;
    }
  }

  /** {@code ./sarathi admin cancel}. */
  @Command(
      name = "cancel",
      mixinStandardHelpOptions = true,
      description = {
        "Cancels a request: sends a record with a null value under the key that names it.",
        "With --url the partition is asked for; else it is --partition, or where the key belongs,"
            + " which is right for prompts whose key is their id."
      },
      exitCodeListHeading = "%nExit codes:%n",
      exitCodeList = {
        "0:the cancellation was sent; with --wait, the request has ended",
        "1:it was not, or the request has not ended in time",
        "3:no instance answers"
      })
  static final class Cancel implements Callable<Integer> {
    @Spec private CommandSpec command;

    @ArgGroup(exclusive = false, multiplicity = "1")
    private ApplicationFile application;

    @ArgGroup private Url instance;

    @Parameters(paramLabel = "ID", description = "The request's id.")
    private String id;

    @Option(
        names = "--partition",
        paramLabel = "P",
        description = "The partition of the prompts topic that the request is in.")
    private Optional<Integer> partition = Optional.empty();

    @Option(
        names = "--key",
        paramLabel = "KEY",
        description = "The key that names the request, if it is not the id.")
    private Optional<String> key = Optional.empty();

    @Option(names = "--wait", description = "Wait for the request's last record.")
    private boolean wait;

    @Option(
        names = "--timeout",
        paramLabel = "SECONDS",
        description = "How long to wait (default: ${DEFAULT-VALUE}).")
    private long timeout = 30;

    @Override
    public Integer call() throws InterruptedException {
      final SarathiConfig config = application.config(command);
      final PrintWriter out = command.commandLine().getOut();
      final PrintWriter err = command.commandLine().getErr();
      Optional<byte[]> name = key.map(text -> text.getBytes(StandardCharsets.UTF_8));
      if (instance != null) {
        final Optional<JsonNode> found;
        try (AdminClient client = new AdminClient(instance.url)) {
          found = client.find(id);
        }
        if (found.isEmpty()) {
          err.println("no instance has an unfinished request " + id);
          err.flush();
          return 1;
        }
        partition = partition.or(() -> found.map(request -> request.path("partition").asInt()));
        name = name.or(() -> keyOf(found.get()));
      }
      try (Cancellation cancellation = new Cancellation(config, id)) {
        final RecordMetadata sent = cancellation.send(Cancellation.keyOf(id, name), partition);
        out.printf(
            "cancellation of %s sent to %s, offset %d%n",
            id, sent.topic() + "-" + sent.partition(), sent.offset());
        out.flush();
        if (!wait) {
          return 0;
        }
        final Optional<FinishReason> end = cancellation.await(Duration.ofSeconds(timeout));
        end.ifPresentOrElse(
            reason -> out.printf("%s has ended: %s%n", id, reason),
            () ->
                err.printf(
                    "%s has not ended within %d s; it may have before, or be in another partition%n",
                    id, timeout));
        out.flush();
        err.flush();
        return end.isPresent() ? 0 : 1;
      }
    }

    private static Optional<byte[]> keyOf(final JsonNode request) {
      try {
        return Optional.ofNullable(request.path("key").binaryValue());
      } catch (final IOException e) {
        throw new UncheckedIOException("the key of a request is no base 64", e);
      }
    }
  }

  /** {@code ./sarathi admin requeue}. */
  @Command(
      name = "requeue",
      mixinStandardHelpOptions = true,
      description = {
        "Puts dead letters back into the prompts topic: original bytes, key and headers, and the"
            + " header sarathi.requeued.from. Each letter once: a second run finds nothing to do.",
        "A request that has ended in ERROR is then generated, and ends, once more."
      },
      exitCodeListHeading = "%nExit codes:%n",
      exitCodeList = {"0:all that were asked for are back", "1:the work failed", "2:misuse"})
  static final class RequeueLetters implements Callable<Integer> {
    @Spec private CommandSpec command;

    @ArgGroup(exclusive = false, multiplicity = "1")
    private ApplicationFile application;

    @Option(
        names = "--id",
        paramLabel = "ID",
        description = "Only letters of this request; may be repeated.")
    private Set<String> ids = new HashSet<>();

    @Option(
        names = "--from",
        paramLabel = "OFFSET",
        description = "Only letters from this offset on, of every partition.")
    private Optional<Long> from = Optional.empty();

    @Option(names = "--to", paramLabel = "OFFSET", description = "Only letters before this offset.")
    private Optional<Long> to = Optional.empty();

    @Option(
        names = "--error",
        paramLabel = "CLASS",
        description = "Only letters whose exception's class ends with this.")
    private Optional<String> error = Optional.empty();

    @Option(names = "--quiet", description = "Do not print a line for each letter.")
    private boolean quiet;

    @Override
    public Integer call() {
      final PrintWriter out = command.commandLine().getOut();
      final int[] count = {0};
      final int before =
          new Requeue(application.config(command))
              .run(
                  wanted(),
                  letter -> {
                    count[0]++;
                    if (!quiet) {
                      out.printf(
                          "%s  %s  %s%n",
                          letter.place(), shortened(letter.id()), firstLine(letter.message()));
                    }
                  });
      out.printf(Locale.ROOT, "%,d put back, %,d had been before%n", count[0], before);
      out.flush();
      return 0;
    }

    private Predicate<DeadLetter> wanted() {
      return letter ->
          (ids.isEmpty() || ids.contains(letter.id()))
              && letter.record().offset() >= from.orElse(0L)
              && letter.record().offset() < to.orElse(Long.MAX_VALUE)
              && error.map(letter.errorClass()::endsWith).orElse(true);
    }
  }

  private static String shortened(final String id) {
    return id.length() <= TEXT_COLUMNS ? id : id.substring(0, TEXT_COLUMNS - 1) + "…";
  }

  private static String firstLine(final String text) {
    return text.lines().findFirst().orElse("");
  }

  private static String age(final long millis) {
    final Duration age = Duration.ofMillis(Math.max(0, millis));
    if (age.toHours() > 0) {
      return "%d h %02d m".formatted(age.toHours(), age.toMinutesPart());
    }
    return age.toMinutes() > 0
        ? "%d m %02d s".formatted(age.toMinutes(), age.toSecondsPart())
        : "%.1f s".formatted(millis / 1e3);
  }
}
