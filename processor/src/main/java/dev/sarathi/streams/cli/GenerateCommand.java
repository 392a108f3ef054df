package dev.sarathi.streams.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.EngineFailedException;
import dev.sarathi.runtime.Finish;
import dev.sarathi.runtime.FinishReason;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.runtime.TokenListener;
import dev.sarathi.runtime.schedule.Logprobs;
import dev.sarathi.runtime.schedule.TokenBudget;
import dev.sarathi.runtime.trace.TraceWriter;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.streams.application.PromptRequests;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
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

  @Mixin private SamplingOptions sampling = new SamplingOptions(0);

  @Option(
      names = "--id",
      paramLabel = "ID",
      description = "The request's id. Default: ${DEFAULT-VALUE}")
  private String id = "generate";

  @Option(
      names = "--trace",
      paramLabel = "FILE",
      description = "Write every iteration into a file, which `sarathi timeline` draws.")
  private Optional<Path> trace = Optional.empty();

  @Option(
      names = "--policy",
      paramLabel = "NAME",
      description = "The scheduler's policy. Default: ${DEFAULT-VALUE}")
  private String policy = "stall-free";

  @Option(
      names = "--token-budget",
      paramLabel = "N",
      description = "Tokens of one iteration, or auto. Default: ${DEFAULT-VALUE}")
  private String tokenBudget = Integer.toString(TokenBudget.DEFAULT_TOKENS);

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

    @ArgGroup(exclusive = false)
    private ChatOption chat;

    private void set(final PromptRequest.Builder request) {
      text.ifPresent(request::setPrompt);
      if (!tokenIds.isEmpty()) {
        request.setTokenIds(tokenIds);
      }
      if (chat != null) {
        request.setMessages(Conversation.of(chat.system, chat.user));
      }
    }
  }

  /** A conversation to continue. */
  private static final class ChatOption {
    @Option(
        names = "--user",
        paramLabel = "TEXT",
        required = true,
        description = "What the user says, for the model's chat template.")
    private String user;

    @Option(
        names = "--system",
        paramLabel = "TEXT",
        description = "What the model is told before the user speaks.")
    private Optional<String> system = Optional.empty();
  }

  @Override
  public Integer call() {
    try {
      final PromptRequest.Builder asked = sampling.request().setMaxTokens(maxTokens);
      prompt.set(asked);
      return generate(PromptRequests.toGenerationRequest(id, asked.build(), Instant.now()));
    } catch (final IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage(), e);
    }
  }

  private int generate(final GenerationRequest request) {
    // The engine refuses what is beyond; until then nothing may grow with it.
    final int choices = Math.clamp(request.choices(), 1, GenerationRequest.MAX_CHOICES);
    final EngineConfig config = engineConfig(choices);
    final Optional<TraceWriter> writer = trace.map(file -> TraceWriter.create(file, config));
    try (GenerationEngine engine =
        writer
            .map(observer -> GenerationEngine.start(config, observer))
            .orElseGet(() -> GenerationEngine.start(config))) {
      final Collector collector = new Collector(choices);
      if (logits) {
        engine.submitWithLogits(request, collector);
      } else {
        engine.submit(request, collector);
      }
      collector.ended.join();
      print(collector);
      return collector.choices.stream()
              .anyMatch(choice -> choice.finish.reason() == FinishReason.ERROR)
          ? 1
          : 0;
    } finally {
      writer.ifPresent(TraceWriter::close);
    }
  }

  private EngineConfig engineConfig(final int sequences) {
    final EngineConfig config =
        EngineConfig.of(ModelFolder.find(model))
            .withExecutor(executor)
            .withPolicy(policy)
            .withTokenBudget(TokenBudget.parse(tokenBudget, TokenBudget.DEFAULT_TARGET))
            .withMaxSequences(sequences)
            .withWarmUp(Duration.ZERO);
    return threads.map(config::withThreads).orElse(config);
  }

  private void print(final Collector collector) {
    final PrintWriter out = command.commandLine().getOut();
    if (json) {
      out.println(json(collector));
    } else if (collector.choices.size() == 1) {
      out.println(collector.choices.getFirst().text);
    } else {
      for (int i = 0; i < collector.choices.size(); i++) {
        out.println("#" + i + " | " + collector.choices.get(i).text);
      }
    }
    collector.choices.stream()
        .flatMap(choice -> choice.finish.error().stream())
        .forEach(command.commandLine().getErr()::println);
    out.flush();
  }

  /** With the names that the fields have in a completion. */
  private ObjectNode json(final Collector collector) {
    final ObjectNode object = collector.choices.getFirst().json();
    object.put("prompt_tokens", collector.choices.getFirst().finish.usage().promptTokens());
    if (!collector.promptLogprobs.isEmpty()) {
      object.set("prompt_logprobs", json(collector.promptLogprobs));
    }
    if (collector.choices.size() > 1) {
      for (int i = 0; i < collector.choices.size(); i++) {
        object.withArray("choices").add(collector.choices.get(i).json().put("choice", i));
      }
    }
    if (logits) {
      for (final float logit : collector.logits) {
        object.withArray("logits").add(logit);
      }
    }
    return object;
  }

  private static ArrayNode json(final List<Logprobs> logprobs) {
    final ArrayNode array = JSON.createArrayNode();
    for (final Logprobs token : logprobs) {
      final ArrayNode top =
          array
              .addObject()
              .put("token_id", token.token())
              .put("logprob", token.logprob())
              .putArray("top");
      for (int i = 0; i < token.topTokens().length; i++) {
        top.addObject()
            .put("token_id", token.topTokens()[i])
            .put("logprob", token.topLogprobs()[i]);
      }
    }
    return array;
  }

  /** What one choice has come to. */
  private static final class Collected {
    private final List<Integer> tokens = new ArrayList<>();
    private final List<Logprobs> logprobs = new ArrayList<>();
    private final StringBuilder text = new StringBuilder();
    private Finish finish;

    private ObjectNode json() {
      final ObjectNode object = JSON.createObjectNode();
      tokens.forEach(object.putArray("token_ids")::add);
      object.put("text", text.toString());
      object.put("finish_reason", finish.reason().name());
      if (!logprobs.isEmpty()) {
        object.set("logprobs", GenerateCommand.json(logprobs));
      }
      return object;
    }
  }

  /** Written by the engine thread; read after {@code ended} is complete. */
  private static final class Collector implements TokenListener {
    private final List<Collected> choices;
    private final List<Logprobs> promptLogprobs = new ArrayList<>();
    private final CompletableFuture<Void> ended = new CompletableFuture<>();
    private float[] logits = {};

    private Collector(final int choices) {
      this.choices = Stream.generate(Collected::new).limit(choices).toList();
    }

    @Override
    public void onTokens(final TokenDelta delta) {
      final Collected choice = choices.get(delta.choice());
      for (final int token : delta.tokens()) {
        choice.tokens.add(token);
      }
      choice.logprobs.addAll(delta.logprobs());
      choice.text.append(delta.text());
      delta.finish().ifPresent(finish -> choice.finish = finish);
      promptLogprobs.addAll(delta.promptLogprobs());
      if (delta.last()) {
        ended.complete(null);
      }
    }

    @Override
    public void onEngineFailure(final EngineFailedException failure) {
      ended.completeExceptionally(failure);
    }

    @Override
    public void onLogits(final int index, final float[] values) {
      if (index == 0) {
        logits = values;
      }
    }
  }
}
