package dev.sarathi.streams.cli;

import dev.sarathi.runtime.schedule.Policy;
import dev.sarathi.runtime.schedule.TokenBudget;
import dev.sarathi.runtime.text.Tokenizer;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.streams.SarathiConfig;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code sarathi demo}: all parts at work, for one minute at most. */
@Command(
    name = "demo",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = {
      "Shows the whole path: starts a Kafka broker and the application, sends a dozen prompts and"
          + " reads the tokens as they are committed.",
      "Eleven stories are being told when a long prompt arrives. It is prefilled in chunks, beside"
          + " them: see that they do not stall.",
      "On a terminal the stories grow side by side; elsewhere, or if NO_COLOR is set, there is a"
          + " line for each event. Nothing stays behind."
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {"0:every story was told", "1:something failed", "2:misuse"})
final class DemoCommand implements Callable<Integer> {
  private static final String STORIES = "stories.jsonl";
  private static final Duration STORY_LIMIT = Duration.ofSeconds(60);
  private static final Duration POLL = Duration.ofMillis(5);
  private static final int PARTITIONS = 2;
  private static final int WARM_UP_TOKENS = 200;

  @Spec private CommandSpec command;

  @Option(names = "--plain", description = "Prints lines, on a terminal too.")
  private boolean plain;

  @Option(
      names = "--model",
      paramLabel = "DIR",
      description = "Folder of a Hugging Face model. Default: the bundled storyteller.")
  private Optional<Path> model = Optional.empty();

  @Option(
      names = "--token-budget",
      paramLabel = "N",
      description =
          "Tokens of one iteration, or auto; with 4096 the long prompt goes in whole, and the stories wait"
              + " for it. Default: ${DEFAULT-VALUE}")
  private String tokenBudget = "128";

  @Option(
      names = "--policy",
      paramLabel = "NAME",
      description =
          "The scheduler's policy: stall-free, prefill-first, mixed, decode-first, chunked-only or"
              + " hybrid-only. Default: ${DEFAULT-VALUE}")
  private String policy = "stall-free";

  @Option(
      names = "--trace",
      paramLabel = "FILE",
      description = "Writes every iteration into a file, which `sarathi timeline` draws.")
  private Optional<Path> trace = Optional.empty();

  @Option(
      names = "--tokens",
      paramLabel = "N",
      description = "Tokens of each story. Default: some hundreds, each story its own number.")
  private Optional<Integer> tokens = Optional.empty();

  @Option(
      names = "--page",
      arity = "0..1",
      fallbackValue = "0",
      paramLabel = "PORT",
      description =
          "Shows the instance at work on a page of this machine, http://127.0.0.1:PORT/, while the"
              + " demo runs. Without a number, any port that is free.")
  private Optional<Integer> page = Optional.empty();

  @Option(names = "--keep", description = "Keeps the files of broker and application.")
  private boolean keep;

  @Override
  public Integer call() throws InterruptedException {
    tokens.ifPresent(count -> require("--tokens", count, 1));
    requirePolicy();
    requireTokenBudget();
    final Path folder = ModelFolder.find(model);
    // Made at the first call: now, for later the error stream is the application's log.
    final PrintWriter err = command.commandLine().getErr();
    final StoryView view = view();
    final Thread restore = new Thread(view::close, "demo-terminal");
    Runtime.getRuntime().addShutdownHook(restore);
    try (TemporaryApplication application = new TemporaryApplication(keep)) {
      try {
        perform(application, folder, view);
      } catch (RuntimeException e) {
        view.close();
        application.logTail().forEach(err::println);
        err.flush();
        throw e;
      }
      if (keep) {
        out().println("The files are in " + application.directory() + ".");
      }
    } finally {
      view.close();
      removeHook(restore);
    }
    return 0;
  }

  private void requireTokenBudget() {
    try {
      TokenBudget.parse(tokenBudget, TokenBudget.DEFAULT_TARGET);
    } catch (final IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage(), e);
    }
  }

  private void requirePolicy() {
    try {
      Policy.named(policy);
    } catch (final IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), "--" + e.getMessage(), e);
    }
  }

  private void require(final String option, final int value, final int least) {
    if (value < least) {
      throw new ParameterException(
          command.commandLine(), "%s is %d, must be at least %d".formatted(option, value, least));
    }
  }

  private void perform(
      final TemporaryApplication application, final Path folder, final StoryView view)
      throws InterruptedException {
    final List<Story> stories = stories(folder);
    view.announce("Starting a Kafka broker.");
    application.startBroker();
    view.announce("Starting the application: model " + folder.getFileName() + ".");
    application.startApplication(
        Map.of(
            SarathiConfig.MODEL_CONFIG,
            folder.toString(),
            SarathiConfig.SCHEDULER_CONFIG,
            policy,
            SarathiConfig.TRACE_FILE_CONFIG,
            trace.map(Path::toString).orElse(""),
            SarathiConfig.TOKEN_BUDGET_CONFIG,
            tokenBudget,
            SarathiConfig.TOPICS_PARTITIONS_CONFIG,
            PARTITIONS,
            SarathiConfig.HTTP_LISTEN_CONFIG,
            page.map(port -> "127.0.0.1:" + port).orElse("")));
    application.httpAddress().ifPresent(it -> view.announce("The page is at http://" + it + "/."));
    try (StoryExchange exchange = new StoryExchange(application.client())) {
      view.announce("Warming up: the compiler has to see the work before it is measured.");
      tell(warmUp(stories), exchange, (_, _) -> {});
      tell(stories, exchange, view::refresh);
    }
    view.close();
    new DemoReport(out()).print(stories, view instanceof StoryView.Screen);
  }

  /** Shows how far stories are, so many nanoseconds after the first was sent. */
  private interface Audience {
    void see(List<Story> stories, long elapsed);
  }

  /** Sends all prompts but the last, and the last when the others are being decoded. */
  private static void tell(
      final List<Story> stories, final StoryExchange exchange, final Audience audience)
      throws InterruptedException {
    final List<Story> others = stories.subList(0, stories.size() - 1);
    final Story last = stories.getLast();
    final long start = System.nanoTime();
    exchange.send(others);
    while (stories.stream().anyMatch(story -> story.state() != Story.State.DONE)) {
      if (last.state() == Story.State.WAITING
          && others.stream().allMatch(DemoCommand::isUnderWay)) {
        exchange.send(List.of(last));
      }
      exchange.poll(POLL);
      final long elapsed = System.nanoTime() - start;
      audience.see(stories, elapsed);
      check(stories, elapsed);
    }
  }

  private static boolean isUnderWay(final Story story) {
    return story.tokens() * 8 >= story.request().getMaxTokens().orElseThrow()
        || story.state() == Story.State.DONE;
  }

  private static void check(final List<Story> stories, final long elapsed) {
    for (Story story : stories) {
      story
          .failure()
          .ifPresent(
              failure -> {
                throw new IllegalStateException("story %s: %s".formatted(story.name(), failure));
              });
    }
    if (elapsed > STORY_LIMIT.toNanos()) {
      final List<String> open =
          stories.stream()
              .filter(story -> story.state() != Story.State.DONE)
              .map(story -> story.name() + " (" + story.tokens() + " tokens)")
              .toList();
      throw new IllegalStateException(
          "%d of %d stories did not end within %d s: %s"
              .formatted(
                  open.size(), stories.size(), STORY_LIMIT.toSeconds(), String.join(", ", open)));
    }
  }

  /** The prompts of the demo; {@code sarathi submit --file} takes the same format. */
  private List<Story> stories(final Path folder) {
    final List<Story> stories = new ArrayList<>();
    try (BufferedReader lines =
            new BufferedReader(
                new InputStreamReader(
                    DemoCommand.class.getResourceAsStream(STORIES), StandardCharsets.UTF_8));
        Tokenizer tokenizer = Tokenizer.open(folder)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        final PromptRequest.Builder request =
            PromptRequest.newBuilder(PromptLine.parse(line, PromptRequest.newBuilder()));
        tokens.ifPresent(request::setMaxTokens);
        final String prompt = request.getPrompt();
        stories.add(new Story(request.build(), tokenizer.encode(prompt).length));
      }
    } catch (IOException | InvalidPromptException e) {
      throw new IllegalStateException(STORIES + " is broken", e);
    }
    return stories;
  }

  /** The same stories under other names, shorter, and with other beginnings. */
  private static List<Story> warmUp(final List<Story> stories) {
    return stories.stream()
        .map(
            story ->
                new Story(
                    PromptRequest.newBuilder(story.request())
                        .setId("warm-up-" + story.name())
                        .setPrompt("Listen. " + story.request().getPrompt().orElseThrow())
                        .setMaxTokens(
                            Math.min(WARM_UP_TOKENS, story.request().getMaxTokens().orElseThrow()))
                        .build(),
                    story.promptTokens()))
        .toList();
  }

  private StoryView view() {
    final boolean lines = plain || !System.getenv().getOrDefault("NO_COLOR", "").isEmpty();
    return Terminal.attached()
        .filter(_ -> !lines)
        .<StoryView>map(terminal -> new StoryView.Screen(out(), terminal))
        .orElseGet(() -> new StoryView.Lines(out()));
  }

  private static void removeHook(final Thread hook) {
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // The process is ending.
    }
  }

  private PrintWriter out() {
    return command.commandLine().getOut();
  }
}
