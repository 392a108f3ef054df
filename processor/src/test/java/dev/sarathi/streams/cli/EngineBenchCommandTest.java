package dev.sarathi.streams.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class EngineBenchCommandTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @TempDir private Path cache;

  @Test
  void shouldPrintOneJsonObject() throws Exception {
    assertThat(run("--json", "--rounds", "2", "--policies", "stall-free,mixed")).isZero();

    final JsonNode json = new ObjectMapper().readTree(out.toString());
    assertThat(json.path("model").textValue()).isEqualTo("storyteller");
    assertThat(json.at("/throughput/prefill/tokens_per_second").doubleValue()).isPositive();
    assertThat(json.at("/throughput/decode").findValuesAsText("sequences"))
        .containsExactly("1", "2");
    assertThat(json.path("load")).hasSize(4);
    assertThat(json.at("/load/3/prompt").intValue()).isEqualTo(300);
    assertThat(json.path("serving").findValuesAsText("policy"))
        .containsExactly("stall-free", "mixed");
    assertThat(json.at("/serving/0/longest_stall").doubleValue()).isPositive();
  }

  @Test
  void shouldPrintATable() {
    assertThat(run("--weights", "int8", "--requests", "0")).isZero();

    assertThat(out.toString())
        .contains("storyteller, 2 threads, kernels cpu-", "i8g64")
        .containsPattern("prefill, +64 tokens +\\d+\\.\\d")
        .containsPattern("decode, batch +2 +\\d+\\.\\d")
        .doesNotContain("TTFT");
  }

  @ParameterizedTest
  @CsvSource({
    "--shape, gpt-2, 'shape is gpt-2; valid is llama-2-7b, llama-3-8b, tinyllama-1.1b'",
    "--weights, int4, weights is int4; valid is auto or int8",
    "--policies, fair, policy is fair; valid is stall-free",
    "--budget, 8, 'token budget is 8; valid is auto, or 16 or more'",
    "--batches, 0, 'batch size: 0; valid is 1 or more'",
    "--prompt, 9000, a sequence would have 9001 tokens; valid for this model is at most 8192",
    "--rounds, 0, 'rounds: 0; valid is 1 or more'",
    "--rate, 0, rate is 0.0; valid is above 0",
  })
  void shouldRefuseWhatCannotBeMeasured(
      final String option, final String value, final String message) {
    assertThat(run(option, value)).isEqualTo(2);
    assertThat(err.toString()).contains(message);
  }

  /** The smallest sizes first, so that what is given after them wins. */
  private int run(final String... arguments) {
    final String[] small = {
      "bench",
      "engine",
      "--shape",
      "storyteller",
      "--cache",
      cache.toString(),
      "--threads",
      "2",
      "--prompt",
      "64",
      "--batches",
      "1,2",
      "--tokens",
      "4",
      "--rounds",
      "1",
      "--requests",
      "4",
      "--long",
      "300",
      "--output",
      "8",
    };
    return Sarathi.commandLine()
        .setOverwrittenOptionsAllowed(true)
        .setOut(new PrintWriter(out, true))
        .setErr(new PrintWriter(err, true))
        .execute(Stream.concat(Stream.of(small), Stream.of(arguments)).toArray(String[]::new));
  }
}
