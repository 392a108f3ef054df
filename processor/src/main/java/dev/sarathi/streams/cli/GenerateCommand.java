package dev.sarathi.streams.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.EngineFailedException;
import dev.sarathi.runtime.Finish;
import dev.sarathi.runtime.FinishReason;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.Priority;
import dev.sarathi.runtime.Prompt;
import dev.sarathi.runtime.Sampling;
import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.runtime.TokenListener;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code sarathi generate}. */
@Command(
    name = "generate",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = {
      "Continues one prompt, without Kafka: the oracle for what the processor writes.",
      "The same model, prompt, sampling options and seed give the same tokens here and there."
    })
final class GenerateCommand implements Callable<Integer> {
  private static final ObjectMapper JSON = new ObjectMapper();

  @Spec private CommandSpec command;

  @ArgGroup(multiplicity = "1")
  private PromptOption prompt;

  @Option(
      names = "--model",
      paramLabel = "DIR",
      description = "Folder of a Hugging Face model. Default: the bundled storyteller.")
  private Optional<Path> model = Optional.empty();

  @Option(
      names = "--max-tokens",
      paramLabel = "N",
      description = "Generate at most so many tokens. Default: ${DEFAULT-VALUE}")
  private int maxTokens = 64;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description = "0 takes the likeliest token always. Default: ${DEFAULT-VALUE}")
  private float temperature;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      description = "Keep the K likeliest tokens; 0 keeps all. Default: ${DEFAULT-VALUE}")
  private int topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      description =
          "Keep the likeliest tokens that reach this probability. Default: ${DEFAULT-VALUE}")
  private float topP = 1;

  @Option(
      names = "--seed",
      paramLabel = "S",
      description = "Keys the random numbers. Default: derived from --id.")
  private Optional<Long> seed = Optional.empty();

  @Option(
      names = "--id",
      paramLabel = "ID",
      description = "The request's id. Default: ${DEFAULT-VALUE}")
  private String id = "generate";

  @Option(names = "--stop", paramLabel = "TEXT", description = "End at this text; may be repeated.")
  private List<String> stop = new ArrayList<>();

  @Option(names = "--ignore-eos", description = "Go on when the model says that it is done.")
  private boolean ignoreEos;

  @Option(
      names = "--policy",
      paramLabel = "NAME",
      description = "The scheduler's policy. Default: ${DEFAULT-VALUE}")
  private String policy = "stall-free";

  @Option(
      names = "--token-budget",
      paramLabel = "N",
      description = "Tokens of one iteration. Default: ${DEFAULT-VALUE}")
  private int tokenBudget = 512;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "CPU threads. Default: one for each processor.")
  private Optional<Integer> threads = Optional.empty();

  @Option(
      names = "--executor",
      paramLabel = "NAME",
      description = "auto, cpu or cuda. Default: ${DEFAULT-VALUE}")
  private String executor = "auto";

  @Option(
      names = "--logits",
      description = "With --json, also the logits after the prompt's last token.")
  private boolean logits;

  @Option(names = "--json", description = "Print one JSON object rather than the text.")
  private boolean json;

  /** What to continue. */
  private static final class PromptOption {
    @Option(names = "--prompt", paramLabel = "TEXT", description = "The prompt as text.")
    private Optional<String> text = Optional.empty();

    @Option(
        names = "--token-ids",
        paramLabel = "ID,ID…",
        split = ",",
        description = "The prompt as token ids, taken as they are.")
    private List<Integer> tokenIds = List.of();

    private Prompt prompt() {
      return text.<Prompt>map(Prompt.Text::new)
          .orElseGet(
              () -> new Prompt.Tokens(tokenIds.stream().mapToInt(Integer::intValue).toArray()));
    }
  }

  @Override
  public Integer call() {
    final Collector collector = new Collector();
    try (GenerationEngine engine = GenerationEngine.start(engineConfig())) {
      if (logits) {
        engine.submitWithLogits(request(), collector);
      } else {
        engine.submit(request(), collector);
      }
      final Finish finish = collector.finish.join();
      print(collector, finish);
      return finish.reason() == FinishReason.ERROR ? 1 : 0;
    } catch (final IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage(), e);
    }
  }

  private EngineConfig engineConfig() {
    final EngineConfig config =
        EngineConfig.of(ModelFolder.find(model))
            .withExecutor(executor)
            .withPolicy(policy)
            .withTokenBudget(tokenBudget)
            .withMaxSequences(1)
            .withWarmUp(Duration.ZERO);
    return threads.map(config::withThreads).orElse(config);
  }

  private GenerationRequest request() {
    return new GenerationRequest(
        id,
        prompt.prompt(),
        new Sampling(
            temperature, topK, topP, seed.map(OptionalLong::of).orElseGet(OptionalLong::empty)),
        OptionalInt.of(maxTokens),
        stop,
        ignoreEos,
        Priority.INTERACTIVE,
        Optional.empty());
  }

  private void print(final Collector collector, final Finish finish) {
    final PrintWriter out = command.commandLine().getOut();
    if (!json) {
      out.println(collector.text);
    } else {
      final ObjectNode object = JSON.createObjectNode();
      collector.tokens.forEach(object.putArray("token_ids")::add);
      object.put("text", collector.text.toString());
      object.put("finish_reason", finish.reason().name());
      object.put("prompt_tokens", finish.usage().promptTokens());
      if (logits) {
        for (final float logit : collector.logits) {
          object.withArray("logits").add(logit);
        }
      }
      out.println(object);
    }
    finish.error().ifPresent(command.commandLine().getErr()::println);
    out.flush();
  }

  /** Written by the engine thread; read after {@code finish} is complete. */
  private static final class Collector implements TokenListener {
    private final List<Integer> tokens = new ArrayList<>();
    private final StringBuilder text = new StringBuilder();
    private final CompletableFuture<Finish> finish = new CompletableFuture<>();
    private float[] logits = {};

    @Override
    public void onTokens(final TokenDelta delta) {
      for (final int token : delta.tokens()) {
        tokens.add(token);
      }
      text.append(delta.text());
      delta.finish().ifPresent(finish::complete);
    }

    @Override
    public void onEngineFailure(final EngineFailedException failure) {
      finish.completeExceptionally(failure);
    }

    @Override
    public void onPromptLogits(final float[] values) {
      logits = values;
    }
  }
}
