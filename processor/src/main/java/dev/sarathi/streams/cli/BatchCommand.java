package dev.sarathi.streams.cli;

import dev.sarathi.runtime.schedule.Policy;
import dev.sarathi.runtime.schedule.TokenBudget;
import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.Priority;
import dev.sarathi.schemas.batch.BatchEntry;
import dev.sarathi.schemas.batch.BatchFile;
import dev.sarathi.schemas.batch.BatchRequest;
import dev.sarathi.schemas.batch.LineReader;
import dev.sarathi.schemas.batch.ResultLine;
import dev.sarathi.streams.SarathiConfig;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.streams.StreamsConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code sarathi batch}: a file of requests in, a file of results out. */
@Command(
    name = "batch",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = {
      "Answers an OpenAI batch file: results into OUT, errors into OUT with .errors before its"
          + " ending.",
      "Without --bootstrap it brings a broker and the application; with it, a running application"
          + " answers.",
      "Stopped or killed and run again it goes on: what has ended is not generated again, and what"
          + " was half done resumes at its last committed token. What it needs for that is in"
          + " OUT.sarathi, until all is answered."
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:every line succeeded",
      "1:some lines have errors, or the work failed",
      "2:misuse",
      "3:something it needs is missing: a model, a topic"
    })
final class BatchCommand implements Callable<Integer> {
  private static final int MAX_LINE_BYTES = 1 << 20;
  private static final int LINES_AT_ONCE = 500;
  private static final Duration POLL = Duration.ofMillis(100);

  /** Every kill takes up again what runs; how often that was says nothing of the requests. */
  private static final int MAX_ATTEMPTS = 1000;

  @Spec private CommandSpec command;

  @Parameters(paramLabel = "IN", description = "The requests, one JSON line each.")
  private Path input;

  @Option(
      names = {"-o", "--output"},
      required = true,
      paramLabel = "OUT",
      description = "The results.")
  private Path output;

  @Option(
      names = "--ordered",
      description =
          "Writes the results in the order of the input, when all are there; else each as it comes.")
  private boolean ordered;

  @Option(
      names = "--force",
      description = "Begins anew, whatever OUT has and whatever was done for it.")
  private boolean force;

  @Option(
      names = "--model",
      paramLabel = "MODEL",
      description =
          "Folder of a Hugging Face model, the bundled storyteller by default. With --bootstrap,"
              + " the name of a model that the application serves. It answers whatever model the"
              + " lines name; with --bootstrap and without --model, theirs must be the"
              + " application's.")
  private Optional<String> model = Optional.empty();

  @Option(
      names = "--weights",
      paramLabel = "FORMAT",
      description = "auto, or int8 to quantise them. Default: ${DEFAULT-VALUE}")
  private String weights = "auto";

  @Option(
      names = "--executor",
      paramLabel = "NAME",
      description = "auto, cpu or cuda. Default: ${DEFAULT-VALUE}")
  private String executor = "auto";

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "CPU threads. Default: one for each processor.")
  private int threads;

  @Option(
      names = "--token-budget",
      paramLabel = "N",
      description = "Tokens of one iteration, or auto. Default: ${DEFAULT-VALUE}")
  private String tokenBudget = Integer.toString(TokenBudget.DEFAULT_TOKENS);

  @Option(
      names = "--max-sequences",
      paramLabel = "N",
      description = "How many lines are generated side by side. Default: ${DEFAULT-VALUE}")
  private int maxSequences = 64;

  @Option(
      names = "--policy",
      paramLabel = "NAME",
      description = "The scheduler's policy. Default: ${DEFAULT-VALUE}")
  private String policy = "stall-free";

  @Option(
      names = "--trace",
      paramLabel = "FILE",
      description = "Writes every iteration into a file, which `sarathi timeline` draws.")
  private Optional<Path> trace = Optional.empty();

  @Mixin private RunningApplication elsewhere = new RunningApplication();

  private long promptTokens;
  private long generatedTokens;

  @Override
  public Integer call() throws IOException, InterruptedException {
    require();
    // Another model's answers are another job's: else they would be taken for repetitions.
    final BatchFile file =
        BatchFile.scan(input, MAX_LINE_BYTES, elsewhere.isGiven() ? model.orElse("") : "");
    final Path directory = BatchState.of(output);
    if (!force && !Files.exists(directory) && Files.exists(output)) {
      return alreadyThere(file);
    }
    // Made at the first call: now, for later the error stream is the application's log.
    final PrintWriter err = command.commandLine().getErr();
    final BatchState state =
        BatchState.open(directory)
            .orElseThrow(
                () -> new IllegalStateException("another process is at work for " + output));
    try (state) {
      if (force) {
        state.clear();
      }
      final BatchState.Begun begun = begun(state, file);
      final int errors = answer(state, begun, file, err);
      state.delete();
      return errors == 0 ? 0 : 1;
    }
  }

  // ---- what may begin

  private void require() {
    if (!Files.isRegularFile(input)) {
      throw new ParameterException(command.commandLine(), input + " is no file");
    }
    output = output.toAbsolutePath();
    if (Files.isDirectory(output) || !Files.isDirectory(output.getParent())) {
      throw new ParameterException(
          command.commandLine(), "--output is %s; valid is a file".formatted(output));
    }
    if (output.equals(input.toAbsolutePath())) {
      throw new ParameterException(command.commandLine(), "--output is the input");
    }
    if (maxSequences < 1 || threads < 0) {
      throw new ParameterException(
          command.commandLine(),
          "--max-sequences is %d and --threads %d; valid is at least 1 and 0"
              .formatted(maxSequences, threads));
    }
    try {
      TokenBudget.parse(tokenBudget, TokenBudget.DEFAULT_TARGET);
      Policy.named(policy);
    } catch (final IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), "--" + e.getMessage(), e);
    }
  }

  private int alreadyThere(final BatchFile file) throws IOException {
    final Path errorFile = BatchOutput.errorFile(output);
    if (!isOf(file, output) && !isOf(file, errorFile)) {
      throw new ParameterException(
          command.commandLine(),
          output + " exists and was not made from this input; --force overwrites it");
    }
    final boolean failed = Files.exists(errorFile);
    out()
        .printf(
            "%s is done already%s; --force does it again.%n",
            output, failed ? ", with errors in " + errorFile : "");
    out().flush();
    return failed ? 1 : 0;
  }

  /** Whether the file's first result is one of the input's. */
  private static boolean isOf(final BatchFile file, final Path results) throws IOException {
    if (!Files.isRegularFile(results)) {
      return false;
    }
    try (BufferedReader reader = Files.newBufferedReader(results)) {
      final String first = reader.readLine();
      return first != null && first.contains(file.fingerprint());
    }
  }

  private BatchState.Begun begun(final BatchState state, final BatchFile file) throws IOException {
    final Map<String, String> answeredBy = answeredBy();
    final Optional<BatchState.Begun> before = state.begun();
    if (before.isPresent()) {
      if (!before.get().fingerprint().equals(file.fingerprint())) {
        throw new ParameterException(
            command.commandLine(),
            output + " was begun from another input; --force begins anew, or give that one again");
      }
      if (!before.get().answeredBy().equals(answeredBy)) {
        throw new ParameterException(
            command.commandLine(),
            "%s was begun with %s, not %s; --force begins anew, or give those again"
                .formatted(output, before.get().answeredBy(), answeredBy));
      }
      return before.get();
    }
    return new BatchState.Begun(file.fingerprint(), answeredBy, List.of());
  }

  /** What may not change while a batch is under way, or its results would not be of one kind. */
  private Map<String, String> answeredBy() {
    final Map<String, String> by = new TreeMap<>();
    if (elsewhere.isGiven()) {
      by.put(
          "bootstrap",
          elsewhere.client().get(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG).toString());
      by.put("prompts", elsewhere.topic(SarathiConfig.PROMPTS_TOPIC_CONFIG));
      by.put("completions", elsewhere.topic(SarathiConfig.COMPLETIONS_TOPIC_CONFIG));
      model.ifPresent(name -> by.put("model", name));
    } else {
      by.put("model", folder().toAbsolutePath().normalize().toString());
      by.put("weights", weights);
      by.put("executor", executor);
    }
    return by;
  }

  private Path folder() {
    return ModelFolder.find(model.map(Path::of));
  }

  // ---- the work

  /** Answers every line that has no answer yet, and says how many have errors. */
  private int answer(
      final BatchState state,
      final BatchState.Begun begun,
      final BatchFile file,
      final PrintWriter err)
      throws IOException, InterruptedException {
    final BatchView view = new BatchView(out(), isLive(), file.lines());
    if (elsewhere.isGiven()) {
      try (ErrorFile _ = ErrorFile.open(state.directory().resolve("application.log"));
          BatchExchange exchange =
              new BatchExchange(
                  elsewhere.client(),
                  elsewhere.topic(SarathiConfig.PROMPTS_TOPIC_CONFIG),
                  elsewhere.topic(SarathiConfig.COMPLETIONS_TOPIC_CONFIG))) {
        return answer(state, begun, file, exchange, view, () -> {});
      } finally {
        view.close();
      }
    }
    final Path folder = folder();
    try (TemporaryApplication application = new TemporaryApplication(state.directory())) {
      try {
        view.announce("Starting a Kafka broker.");
        application.startBroker();
        view.announce("Starting the application: model " + folder.getFileName() + ".");
        application.startApplication(settings(folder));
        try (BatchExchange exchange =
            new BatchExchange(application.client(), "prompts", "completions")) {
          return answer(state, begun, file, exchange, view, application::check);
        }
      } catch (RuntimeException e) {
        view.close();
        application.logTail().forEach(err::println);
        err.flush();
        throw e;
      } finally {
        view.close();
      }
    }
  }

  private Map<String, Object> settings(final Path folder) {
    final Map<String, Object> settings = new HashMap<>();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "batch");
    // The same member comes back after a kill, and need not wait for its former self.
    settings.put(CommonClientConfigs.GROUP_INSTANCE_ID_CONFIG, "batch");
    settings.put(SarathiConfig.PRESET_CONFIG, "throughput");
    settings.put(SarathiConfig.MODEL_CONFIG, folder.toString());
    settings.put(SarathiConfig.WEIGHTS_CONFIG, weights);
    settings.put(SarathiConfig.EXECUTOR_CONFIG, executor);
    settings.put(SarathiConfig.CPU_THREADS_CONFIG, threads);
    settings.put(SarathiConfig.TOKEN_BUDGET_CONFIG, tokenBudget);
    settings.put(SarathiConfig.MAX_SEQUENCES_CONFIG, maxSequences);
    settings.put(SarathiConfig.ENGINE_WINDOW_CONFIG, maxSequences);
    settings.put(SarathiConfig.SCHEDULER_CONFIG, policy);
    settings.put(SarathiConfig.TRACE_FILE_CONFIG, trace.map(Path::toString).orElse(""));
    settings.put(SarathiConfig.TOKENS_TOPIC_CONFIG, "");
    settings.put(SarathiConfig.TOPICS_PARTITIONS_CONFIG, 1);
    settings.put(SarathiConfig.MAX_ATTEMPTS_CONFIG, MAX_ATTEMPTS);
    return settings;
  }

  private int answer(
      final BatchState state,
      final BatchState.Begun begun,
      final BatchFile file,
      final BatchExchange exchange,
      final BatchView view,
      final Runnable check)
      throws IOException {
    final long start = System.nanoTime();
    final Path unsorted = ordered ? state.directory() : output.getParent();
    try (BatchOutput results = new BatchOutput(output, unsorted)) {
      final List<Long> ends = exchange.ends();
      if (state.begun().isEmpty()) {
        state.begin(
            new BatchState.Begun(begun.fingerprint(), begun.answeredBy(), firstOffsets(exchange)));
      }
      exchange.seek(state.begun().orElseThrow().offsets());
      while (!exchange.hasRead(ends)) {
        take(exchange.poll(POLL), file, results);
      }
      final int before = results.answered();
      if (before > 0) {
        view.announce("%,d of %,d lines are answered already.".formatted(before, file.lines()));
      }
      promptTokens = 0;
      generatedTokens = 0;
      final Thread farewell = new Thread(() -> farewell(view, results, file), "batch-farewell");
      Runtime.getRuntime().addShutdownHook(farewell);
      try {
        send(file, exchange, results, view, check);
        while (results.answered() < file.lines()) {
          check.run();
          take(exchange.poll(POLL), file, results);
          results.flush();
          view.refresh(results.answered(), results.errors(), generatedTokens);
        }
        results.finish();
      } finally {
        remove(farewell);
      }
      view.close();
      report(file, results, before, System.nanoTime() - start);
      return results.errors();
    }
  }

  /**
   * From where on answers may be: what another run or a connector has had answered of this input,
   * as long as the application remembers it and drops it as a repetition.
   */
  private List<Long> firstOffsets(final BatchExchange exchange) {
    return elsewhere.isGiven()
        ? exchange.since(
            Instant.now()
                .minusMillis(
                    Long.parseLong(elsewhere.setting(SarathiConfig.DEDUP_RETENTION_CONFIG))))
        : List.of();
  }

  private void send(
      final BatchFile file,
      final BatchExchange exchange,
      final BatchOutput results,
      final BatchView view,
      final Runnable check)
      throws IOException {
    int number = 0;
    boolean warned = false;
    try (LineReader lines = LineReader.open(input, 0, file.maxLineBytes())) {
      for (Optional<LineReader.Line> next = lines.next(); next.isPresent(); next = lines.next()) {
        number++;
        if (next.get().isBlank() || results.isAnswered(number)) {
          continue;
        }
        switch (file.entry(number, next.get())) {
          case BatchEntry.Refused refused ->
              results.add(ResultLine.of(refused.identity(), refused.toCompletion(file.job())));
          case BatchEntry.Request request -> {
            if (!warned && !request.ignored().isEmpty()) {
              warned = true;
              view.announce(
                  "Line %d has %s, which mean nothing here and are ignored; no further warning."
                      .formatted(number, request.ignored()));
            }
            exchange.send(
                request
                    .toPrompt(file.job())
                    .setPriority(Priority.BULK)
                    .setModel(modelOf(request))
                    .build());
          }
        }
        if (number % LINES_AT_ONCE == 0) {
          check.run();
          take(exchange.poll(Duration.ZERO), file, results);
          view.refresh(results.answered(), results.errors(), generatedTokens);
        }
      }
    }
  }

  /** Null for the only one. */
  private String modelOf(final BatchEntry.Request request) {
    return elsewhere.isGiven() ? model.or(() -> request.asked().getModel()).orElse(null) : null;
  }

  private void take(
      final List<Completion> completions, final BatchFile file, final BatchOutput results)
      throws IOException {
    for (final Completion completion : completions) {
      final Optional<BatchRequest> request =
          BatchRequest.parse(completion.getRequestId())
              .filter(r -> r.fingerprint().equals(file.fingerprint()));
      if (request.isPresent() && results.add(ResultLine.of(request.get(), completion))) {
        completion
            .getUsage()
            .ifPresent(
                usage -> {
                  promptTokens += usage.getPromptTokens();
                  generatedTokens += usage.getCompletionTokens();
                });
      }
    }
  }

  // ---- what the user reads

  private boolean isLive() {
    return Terminal.attached().isPresent()
        && System.getenv().getOrDefault("NO_COLOR", "").isEmpty();
  }

  private void report(
      final BatchFile file, final BatchOutput results, final int before, final long nanos) {
    final double seconds = nanos / 1e9;
    out()
        .printf(
            Locale.ROOT,
            "%,d lines answered%s in %s: %,d prompt tokens, %,d generated (%,.0f tokens/s).%n",
            file.lines() - before,
            before > 0 ? String.format(Locale.ROOT, ", %,d before,", before) : "",
            BatchView.clock(Math.round(seconds)),
            promptTokens,
            generatedTokens,
            generatedTokens / seconds);
    if (results.errors() == 0) {
      out().printf("The results are in %s.%n", output);
    } else {
      out()
          .printf(
              Locale.ROOT,
              "%,d of them failed: the errors are in %s, the other results in %s.%n",
              results.errors(),
              BatchOutput.errorFile(output),
              output);
    }
    out().flush();
  }

  private void farewell(final BatchView view, final BatchOutput results, final BatchFile file) {
    view.close();
    out()
        .printf(
            Locale.ROOT,
            "Stopped at %,d of %,d lines; the same command goes on from here.%n",
            results.answered(),
            file.lines());
    out().flush();
  }

  private static void remove(final Thread hook) {
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // The process is ending, and the hook says so.
    }
  }

  private PrintWriter out() {
    return command.commandLine().getOut();
  }
}
