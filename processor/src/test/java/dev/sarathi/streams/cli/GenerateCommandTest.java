package dev.sarathi.streams.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sarathi.runtime.execute.cuda.CudaExecutor;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The command as a user runs it, against what Hugging Face transformers computes. */
class GenerateCommandTest {
  private static final Path GOLDEN = Path.of("../gpu-runtime/src/test/resources/golden");
  private static final Path STORYTELLER = Path.of("../models/storyteller");
  private static final ObjectMapper JSON = new ObjectMapper();

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @ParameterizedTest
  @ValueSource(strings = {"llama2", "llama3", "mistral", "falcon180b"})
  void shouldReproduceTheReferenceByteForByteInEverySetting(final String model) throws Exception {
    reproduces(model, List.of("16", "64", "512"), List.of("1", "2"));
  }

  @ParameterizedTest
  @MethodSource("families")
  void shouldReproduceTheReferenceOfEveryFamily(final String model) throws Exception {
    reproduces(model, List.of("16", "512"), List.of("2"));
  }

  static Stream<String> families() {
    return Arrays.stream(GOLDEN.toFile().list())
        .filter(name -> !Set.of("llama2", "llama3", "mistral", "falcon180b").contains(name))
        .sorted();
  }

  private void reproduces(
      final String model, final List<String> budgets, final List<String> threadCounts)
      throws Exception {
    for (final JsonNode golden : JSON.readTree(GOLDEN.resolve(model + "/golden.json").toFile())) {
      // when
      final Set<String> outputs = new LinkedHashSet<>();
      for (final String budget : budgets) {
        for (final String threads : threadCounts) {
          outputs.add(
              generate(
                  "--model",
                  GOLDEN.resolve(model).toString(),
                  "--token-ids",
                  join(golden.get("prompt")),
                  "--max-tokens",
                  String.valueOf(golden.get("greedy").size()),
                  "--ignore-eos",
                  "--logits",
                  "--json",
                  "--token-budget",
                  budget,
                  "--threads",
                  threads));
        }
      }

      // then
      assertThat(outputs).hasSize(1);
      final JsonNode result = JSON.readTree(outputs.iterator().next());
      assertThat(result.get("token_ids")).isEqualTo(golden.get("greedy"));
      assertThat(result.get("prompt_tokens").asInt()).isEqualTo(golden.get("prompt").size());
      assertThat(distance(result.get("logits"), golden.get("logits"))).isLessThan(2e-4);
    }
  }

  @Test
  void shouldTellTheStorytellersStories() throws Exception {
    for (final JsonNode story : JSON.readTree(STORYTELLER.resolve("golden.json").toFile())) {
      final JsonNode result =
          JSON.readTree(
              generate(
                  "--model",
                  STORYTELLER.toString(),
                  "--prompt",
                  story.get("prompt").asText(),
                  "--max-tokens",
                  String.valueOf(story.get("greedy").size()),
                  "--json"));

      assertThat(result.get("token_ids")).isEqualTo(story.get("greedy"));
      assertThat(result.get("text").asText()).isEqualTo(story.get("text").asText());
      assertThat(result.get("prompt_tokens").asInt()).isEqualTo(story.get("prompt_ids").size());
      assertThat(result.get("finish_reason").asText()).isEqualTo("LENGTH");
      assertThat(result.has("logits")).isFalse();
    }
  }

  @Test
  void shouldPrintTheTextAloneUnlessAskedForMore() throws Exception {
    final JsonNode story = JSON.readTree(STORYTELLER.resolve("golden.json").toFile()).get(0);

    assertThat(
            generate("--model", STORYTELLER.toString(), "--prompt", story.get("prompt").asText()))
        .isEqualTo(story.get("text").asText() + System.lineSeparator());
  }

  @Test
  void shouldWriteAConversationDownAsTheChatTemplateSays() throws Exception {
    final String model = STORYTELLER.toString();

    assertThat(generate("--model", model, "--system", "Once upon", "--user", "a time", "--json"))
        .isEqualTo(generate("--model", model, "--prompt", "Once upon a time", "--json"));
  }

  @Test
  void shouldPrintChoicesAndLogProbabilities() throws Exception {
    // given
    final String[] options =
        ("--token-ids 5,6,7 --n 2 --temperature 1 --max-tokens 4 --logprobs 2 --prompt-logprobs 1"
                + " --json --model "
                + STORYTELLER)
            .split(" ");

    // when
    final JsonNode result = JSON.readTree(generate(options));

    // then
    assertThat(result.get("choices")).hasSize(2);
    assertThat(result.get("choices").get(1).get("choice").asInt()).isEqualTo(1);
    for (final String field : List.of("token_ids", "text", "finish_reason", "logprobs")) {
      assertThat(result.get("choices").get(0).get(field)).isEqualTo(result.get(field));
    }
    assertThat(result.get("prompt_logprobs")).hasSize(2);
    assertThat(result.get("prompt_logprobs").get(0).get("token_id").asInt()).isEqualTo(6);
    final JsonNode first = result.get("logprobs").get(0);
    assertThat(first.get("token_id")).isEqualTo(result.get("token_ids").get(0));
    assertThat(first.get("logprob").asDouble()).isNegative();
    assertThat(first.get("top")).hasSize(2);

    // when, then
    options[options.length - 3] = "--seed=5";
    assertThat(generate(options).lines()).hasSize(2).allMatch(line -> line.matches("#[01] \\| .*"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "2 | --token-ids 5 --executor tpu | executor is tpu; valid is auto, cpu or cuda",
        "2 | --token-ids 5 --policy fifo | policy is fifo; valid is stall-free",
        "2 | --token-ids 5 --token-budget 15 | token budget is 15; valid is auto, or 16 or more",
        "2 | --token-ids 5 --threads 0 | threads is 0; valid is 1 or more",
        "2 | --token-ids 5 --temperature -1 | temperature: -1.0 is not a finite number of 0 or more",
        "2 | --token-ids 5 --n 2000000000 | n: 2000000000 is more than 128",
        "2 | --token-ids 5 --min-p 2 | min_p: 2.0 is not in [0, 1]",
        "2 | --token-ids 5 --logit-bias 5=101 | logit_bias: 101.0 for token 5 is not in [-100, 100]",
        "2 | --token-ids 5 --stop-token 999999 | stop_token_ids: 999999 is not a token of the model",
        "2 | --token-ids 5 --system Short | --user",
        "2 | --user Hello | messages:",
        "2 | --token-ids 5 --max-tokens 0 | max_tokens: 0 is less than 1",
        "2 | --token-ids 5,999999 | token_ids: 999999 is not a token of the model; valid is 0 to",
        "2 | --token-ids 5,x | Invalid value for option '--token-ids'",
        "2 | --prompt Once | prompt: is text, but model llama2 has no tokenizer.json; send token ids",
        "2 | --prompt Once --token-ids 5 | are mutually exclusive",
        "2 | --max-tokens 3 | Missing required argument",
        "3 | --token-ids 5 --model no-such-folder | there is no model in no-such-folder",
      })
  void shouldRefuseInOneLine(final int exitCode, final String options, final String message) {
    final List<String> arguments = new ArrayList<>(List.of("generate"));
    if (!options.contains("--model")) {
      arguments.addAll(List.of("--model", GOLDEN.resolve("llama2").toString()));
    }
    arguments.addAll(List.of(options.split(" ")));

    // when
    final int code = execute(arguments.toArray(String[]::new));

    // then
    assertThat(err.toString()).contains(message).hasLineCount(1);
    assertThat(code).isEqualTo(exitCode);
    assertThat(out.toString()).isEmpty();
  }

  @Test
  void shouldSayWhyThereIsNoGpu() {
    // given a machine without one, as most are
    assumeThat(CudaExecutor.unavailable()).isPresent();

    // when
    final int code =
        execute(
            "generate",
            "--model",
            GOLDEN.resolve("llama2").toString(),
            "--token-ids",
            "5",
            "--executor",
            "cuda");

    // then
    assertThat(err.toString())
        .contains("executor is cuda, but " + CudaExecutor.unavailable().orElseThrow())
        .hasLineCount(1);
    assertThat(code).isEqualTo(2);
  }

  private String generate(final String... options) {
    final List<String> arguments = new ArrayList<>(List.of("generate"));
    arguments.addAll(List.of(options));
    out.getBuffer().setLength(0);
    assertThat(execute(arguments.toArray(String[]::new))).as(err.toString()).isZero();
    return out.toString();
  }

  private int execute(final String... arguments) {
    return Sarathi.commandLine()
        .setOut(new PrintWriter(out, true))
        .setErr(new PrintWriter(err, true))
        .execute(arguments);
  }

  private static String join(final JsonNode ids) {
    return StreamSupport.stream(ids.spliterator(), false)
        .map(JsonNode::asText)
        .collect(Collectors.joining(","));
  }

  private static double distance(final JsonNode actual, final JsonNode expected) {
    assertThat(actual).hasSameSizeAs(expected);
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < actual.size(); i++) {
      difference += Math.pow(actual.get(i).asDouble() - expected.get(i).asDouble(), 2);
      norm += Math.pow(expected.get(i).asDouble(), 2);
    }
    return Math.sqrt(difference / norm);
  }
}
