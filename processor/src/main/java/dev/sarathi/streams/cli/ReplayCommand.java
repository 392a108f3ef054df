package dev.sarathi.streams.cli;

import dev.sarathi.runtime.text.Tokenizer;
import dev.sarathi.streams.SarathiConfig;
import dev.sarathi.streams.replay.Difference;
import dev.sarathi.streams.replay.Place;
import dev.sarathi.streams.replay.Replay;
import dev.sarathi.streams.replay.ReplayOptions;
import dev.sarathi.streams.replay.ReplayReport;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.apache.kafka.common.config.ConfigException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code ./sarathi replay}: recorded prompts once more, and every token compared. */
@Command(
    name = "replay",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = {
      "Runs the recorded prompts of an application again, isolated from it, and compares every"
          + " token with what was written then.",
      "Topics, group and state of the replay are its own, and deleted at its end. Cancelled,"
          + " expired and failed generations are compared up to where they ended."
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:every token is the same",
      "1:some are not, or the replay failed",
      "2:misuse",
      "3:a model is missing"
    })
public final class ReplayCommand implements Callable<Integer> {
  private static final Duration PLAIN_LINES = Duration.ofSeconds(5);

  @Spec private CommandSpec command;

  @Option(
      names = "--application",
      required = true,
      paramLabel = "FILE",
      description = "The properties that the application runs with.")
  private Path application;

  @Option(
      names = "--from",
      required = true,
      paramLabel = "PLACE",
      description =
          "The first prompt: earliest, an offset (of every partition), or an instant such as"
              + " 2026-01-31T12:00:00Z.")
  private String from;

  @Option(
      names = "--to",
      defaultValue = "latest",
      paramLabel = "PLACE",
      description = "Behind the last prompt: latest (default), an offset or an instant.")
  private String to;

  @Option(
      names = "--sample",
      paramLabel = "N",
      description = "Replay N of the generations, the same ones each time. Default: all.")
  private int sample = Integer.MAX_VALUE;

  @Option(
      names = "--instances",
      paramLabel = "K",
      description = "Share the work among K instances, each with an engine (default: 1).")
  private int instances = 1;

  @Option(names = "--policy", description = "Overrides sarathi.scheduler.")
  private Optional<String> policy = Optional.empty();

  @Option(names = "--budget", paramLabel = "N", description = "Overrides sarathi.token.budget.")
  private Optional<String> budget = Optional.empty();

  @Option(names = "--threads", paramLabel = "N", description = "Overrides sarathi.cpu.threads.")
  private Optional<String> threads = Optional.empty();

  @Option(
      names = "--set",
      paramLabel = "SETTING=VALUE",
      description = "Overrides any other setting; may be repeated.")
  private Map<String, String> settings = new LinkedHashMap<>();

  @Option(names = "--keep", description = "Keep the topics of the replay.")
  private boolean keep;

  private long nextLine = System.nanoTime();

  @Override
  public Integer call() throws InterruptedException {
    final Map<String, Object> properties =
        PropertiesFile.read(application, "--application", command);
    properties.computeIfAbsent(
        SarathiConfig.MODEL_CONFIG, name -> ModelFolder.find(Optional.empty()).toString());
    final Map<String, Object> overrides = new HashMap<>(settings);
    policy.ifPresent(value -> overrides.put(SarathiConfig.SCHEDULER_CONFIG, value));
    budget.ifPresent(value -> overrides.put(SarathiConfig.TOKEN_BUDGET_CONFIG, value));
    threads.ifPresent(value -> overrides.put(SarathiConfig.CPU_THREADS_CONFIG, value));
    final Optional<Terminal> terminal = Terminal.attached();
    final ReplayOptions options = options(properties, overrides);
    final ReplayReport report;
    try {
      report =
          Replay.run(
              options,
              (compared, all, tokens, differences) ->
                  progress(terminal, compared, all, tokens, differences));
    } catch (final ConfigException e) {
      throw new ParameterException(command.commandLine(), application + ": " + e.getMessage(), e);
    }
    final Object model =
        overrides.getOrDefault(
            SarathiConfig.MODEL_CONFIG, properties.get(SarathiConfig.MODEL_CONFIG));
    show(report, Path.of(model.toString()));
    return report.differences().isEmpty() ? 0 : 1;
  }

  private ReplayOptions options(
      final Map<String, Object> properties, final Map<String, Object> overrides) {
    try {
      return new ReplayOptions(
          properties, overrides, Place.parse(from), Place.parse(to), sample, instances, keep);
    } catch (final IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage(), e);
    }
  }

  private void progress(
      final Optional<Terminal> terminal,
      final int compared,
      final int all,
      final long tokens,
      final int differences) {
    final long now = System.nanoTime();
    if (compared < all && now < nextLine) {
      return;
    }
    final PrintWriter out = command.commandLine().getOut();
    final String line =
        "%,d of %,d generations compared, %,d tokens, %s"
            .formatted(compared, all, tokens, counted(differences, "difference"));
    if (terminal.isPresent()) {
      out.print("\r" + line + (compared == all ? "\u001b[K\n" : "\u001b[K"));
      nextLine = now + Duration.ofMillis(100).toNanos();
    } else {
      out.println(line);
      nextLine = now + PLAIN_LINES.toNanos();
    }
    out.flush();
  }

  private void show(final ReplayReport report, final Path model) {
    final PrintWriter out = command.commandLine().getOut();
    if (!report.differences().isEmpty()) {
      try (Tokenizer tokenizer = Tokenizer.open(model)) {
        report.differences().forEach(difference -> show(difference, tokenizer, out));
      }
    }
    say(out, report.cut(), "ended from outside (CANCELLED, DEADLINE, ERROR): compared up to there");
    say(out, report.unfinished(), "had not ended: not compared");
    say(
        out,
        report.incomplete(),
        "not in the topic any more from the first token on: not compared");
    say(out, report.ambiguous(), "under an id that came with several contents: not compared");
    if (report.undecodable() > 0) {
      out.println(counted(report.undecodable(), "record") + " of the prompts topic no prompt");
    }
    report
        .foreign()
        .forEach(
            (fingerprint, count) ->
                out.printf(
                    "%s made by fingerprint %s, here it is %s%n",
                    counted(count, "generation"), fingerprint, report.fingerprint()));
    out.printf(
        "%s, %s, %s%n",
        counted(report.generations(), "generation"),
        counted(report.tokens(), "token"),
        counted(report.differences().size(), "difference"));
    out.flush();
  }

  private static void say(final PrintWriter out, final int count, final String what) {
    if (count > 0) {
      out.println(counted(count, "generation") + " " + what);
    }
  }

  private static void show(
      final Difference difference, final Tokenizer tokenizer, final PrintWriter out) {
    out.printf(
        "%s, choice %d, token %d: there %s, here %s%n",
        difference.id(),
        difference.choice(),
        difference.index(),
        side(difference.there(), tokenizer),
        side(difference.here(), tokenizer));
    if (!difference.before().isEmpty()) {
      out.printf(
          "  after %s%n",
          quoted(
              tokenizer.decode(
                  difference.before().stream().mapToInt(Integer::intValue).toArray())));
    }
  }

  private static String side(final Difference.Side side, final Tokenizer tokenizer) {
    return side.token()
        .map(
            token ->
                token
                    + (token >= 0 && token < tokenizer.vocabularySize()
                        ? " " + quoted(tokenizer.decode(token))
                        : ", which is no token"))
        .orElse(side.end());
  }

  private static String quoted(final String text) {
    return '"' + text.replace("\n", "\\n").replace("\r", "\\r") + '"';
  }

  private static String counted(final long count, final String noun) {
    return String.format(Locale.ROOT, "%,d %s%s", count, noun, count == 1 ? "" : "s");
  }
}
