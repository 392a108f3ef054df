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

class CapacityCommandTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @Test
  void shouldPrintOneJsonObject() throws Exception {
    assertThat(run("--json", "--model", "mistral-7b", "--slo", "relaxed", "--requests", "64"))
        .isZero();

    final JsonNode json = new ObjectMapper().readTree(out.toString());
    assertThat(json.path("qps").doubleValue()).isPositive();
    assertThat(json.path("p99_tbt_s").doubleValue()).isBetween(0.0, 0.5);
    assertThat(json.path("p50_ttft_s").doubleValue()).isPositive();
    assertThat(json.path("median_delay_s").doubleValue()).isBetween(0.0, 2.0);
    assertThat(json.path("bound").textValue()).isIn("tbt", "delay");
    assertThat(json.path("budget").intValue()).isEqualTo(2048);
  }

  @Test
  void shouldTellWhatIsNotMeasured() {
    assertThat(run("--slo", "0.3", "--policy", "mixed", "--requests", "32")).isZero();

    assertThat(out.toString())
        .contains("Yi-34B, 2×A100, TP2, mixed", "requests/s", "of at most 0.3", "CodeLlama-34B");
  }

  @Test
  void shouldGiveTheSameForTheSameSeed() {
    assertThat(run("--requests", "32", "--cv", "4", "--seed", "5", "--json")).isZero();
    final String first = out.toString();
    out.getBuffer().setLength(0);

    assertThat(run("--requests", "32", "--cv", "4", "--seed", "5", "--json")).isZero();
    assertThat(out.toString()).isEqualTo(first);
  }

  @Test
  void shouldWriteTheReportAndItsPictures(@TempDir final Path directory) {
    assertThat(run("--paper", "--requests", "8", "--threads", "2", "-o", directory.toString()))
        .isZero();

    assertThat(directory.resolve("report.md")).content().isEqualTo(out.toString());
    assertThat(directory.resolve("timeline-stall-free.svg")).exists();
  }

  @ParameterizedTest
  @CsvSource({
    "--model, gpt-2, model is gpt-2; valid is mistral-7b",
    "--policy, fair, policy is fair; valid is stall-free",
    "--slo, fast, '--slo is fast; valid is strict, relaxed or seconds'",
    "--slo, 0, P99 TBT is to be 0.0 s; valid is above 0",
    "--budget, 8, 'token budget is 8; valid is auto, or 16 or more'",
    "--requests, 0, 0 requests of openchat_sharegpt4; valid is 1 to 2048",
    "--trace, nowhere.csv, trace is nowhere.csv; valid is arxiv_summarization",
    "--cv, -1, coefficient of variation is -1.0",
  })
  void shouldRefuseWhatCannotBe(final String option, final String value, final String message) {
    assertThat(run(option, value)).isEqualTo(2);
    assertThat(err.toString()).contains(message);
  }

  private int run(final String... options) {
    return Sarathi.commandLine()
        .setOut(new PrintWriter(out, true))
        .setErr(new PrintWriter(err, true))
        .execute(Stream.concat(Stream.of("capacity"), Stream.of(options)).toArray(String[]::new));
  }
}
