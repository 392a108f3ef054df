package dev.sarathi.streams.cli;

import dev.sarathi.schemas.Constraint;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.Sampling;
import dev.sarathi.schemas.TokenBias;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The options of every command that asks for a generation, by the fields of PromptRequest. */
final class SamplingOptions {
  @Spec(Spec.Target.MIXEE)
  private CommandSpec spec;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description = "0 takes the likeliest token always. Default: ${DEFAULT-VALUE}")
  private double temperature;

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
  private double topP = 1;

  @Option(
      names = "--min-p",
      paramLabel = "P",
      description =
          "Keep tokens at least so likely in proportion to the likeliest. Default: ${DEFAULT-VALUE}")
  private double minP;

  @Option(
      names = "--repetition-penalty",
      paramLabel = "X",
      description =
          "Above 1 makes tokens of prompt and output less likely. Default: ${DEFAULT-VALUE}")
  private double repetitionPenalty = 1;

  @Option(
      names = "--presence-penalty",
      paramLabel = "X",
      description = "Subtracted from the logits of tokens in the output. Default: ${DEFAULT-VALUE}")
  private double presencePenalty;

  @Option(
      names = "--frequency-penalty",
      paramLabel = "X",
      description =
          "Subtracted for each time that a token is in the output. Default: ${DEFAULT-VALUE}")
  private double frequencyPenalty;

  @Option(
      names = "--logit-bias",
      paramLabel = "ID=BIAS",
      description = "Add to the logit of this token; may be repeated.")
  private Map<Integer, Double> logitBias = new LinkedHashMap<>();

  @Option(
      names = "--seed",
      paramLabel = "S",
      description = "Keys the random numbers. Default: derived from the id.")
  private Optional<Long> seed = Optional.empty();

  @Option(
      names = "--n",
      paramLabel = "N",
      description = "Generate so many continuations. Default: ${DEFAULT-VALUE}")
  private int choices = 1;

  @Option(names = "--stop", paramLabel = "TEXT", description = "End at this text; may be repeated.")
  private List<String> stop = new ArrayList<>();

  @Option(
      names = "--choice",
      paramLabel = "TEXT",
      description = "The answer is this text, or that of another --choice; repeat it for each.")
  private List<String> oneOf = new ArrayList<>();

  @Option(
      names = "--json-schema",
      paramLabel = "FILE",
      description = "The answer is a JSON document that is valid by this JSON schema.")
  private Optional<Path> jsonSchema = Optional.empty();

  @Option(
      names = "--stop-token",
      paramLabel = "ID",
      description = "End at this token; may be repeated.")
  private List<Integer> stopTokens = new ArrayList<>();

  @Option(names = "--ignore-eos", description = "Go on when the model says that it is done.")
  private boolean ignoreEos;

  @Option(
      names = "--logprobs",
      paramLabel = "K",
      description = "Log-probabilities of the tokens, and of the K likeliest at each place.")
  private Optional<Integer> logprobs = Optional.empty();

  @Option(
      names = "--prompt-logprobs",
      paramLabel = "K",
      description = "The same for the prompt's tokens.")
  private Optional<Integer> promptLogprobs = Optional.empty();

  @Option(
      names = "--truncate",
      paramLabel = "N",
      description =
          "Keep the prompt's last N tokens; 0 for as many as the context holds beside --max-tokens.")
  private Optional<Integer> truncate = Optional.empty();

  /**
   * @param temperature where none is given
   */
  SamplingOptions(final double temperature) {
    this.temperature = temperature;
  }

  PromptRequest.Builder request() {
    return PromptRequest.newBuilder()
        .setSampling(
            Sampling.newBuilder()
                .setTemperature(temperature)
                .setTopK(topK)
                .setTopP(topP)
                .setMinP(minP)
                .setRepetitionPenalty(repetitionPenalty)
                .setPresencePenalty(presencePenalty)
                .setFrequencyPenalty(frequencyPenalty)
                .setLogitBias(
                    logitBias.entrySet().stream()
                        .map(bias -> new TokenBias(bias.getKey(), bias.getValue()))
                        .toList())
                .build())
        .setN(choices)
        .setStop(stop)
        .setStopTokenIds(stopTokens)
        .setIgnoreEos(ignoreEos)
        .setLogprobs(logprobs.orElse(null))
        .setPromptLogprobs(promptLogprobs.orElse(null))
        .setTruncatePromptTokens(truncate.orElse(null))
        .setSeed(seed.orElse(null))
        .setConstraint(constraint());
  }

  /** Null where the text is free, as the builder has it. */
  private Constraint constraint() {
    if (oneOf.isEmpty() && jsonSchema.isEmpty()) {
      return null;
    }
    return Constraint.newBuilder()
        .setOneOf(oneOf)
        .setJsonSchema(jsonSchema.map(this::schema).orElse(null))
        .build();
  }

  private String schema(final Path file) {
    try {
      return Files.readString(file);
    } catch (final IOException e) {
      throw new ParameterException(
          spec.commandLine(), "--json-schema: %s cannot be read: %s".formatted(file, e));
    }
  }
}
