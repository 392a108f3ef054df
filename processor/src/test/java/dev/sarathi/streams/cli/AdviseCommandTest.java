package dev.sarathi.streams.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;

class AdviseCommandTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @Test
  void shouldPrintOneJsonObject() throws Exception {
    assertThat(run("--json", "--model", "mistral-7b", "--requests", "64", "--qps", "1")).isZero();

    final JsonNode json = new ObjectMapper().readTree(out.toString());
    assertThat(json.path("policy").textValue()).isEqualTo("stall-free");
    assertThat(json.path("instances").intValue()).isEqualTo(1);
    assertThat(json.path("reasons")).isNotEmpty();
  }

  @Test
  void shouldRefuseAnUnknownObjective() {
    assertThat(run("--slo", "fast")).isEqualTo(2);
    assertThat(err.toString()).contains("--slo is fast; valid is strict, relaxed or seconds");
  }

  private int run(final String... options) {
    final String[] arguments = new String[options.length + 1];
    arguments[0] = "advise";
    System.arraycopy(options, 0, arguments, 1, options.length);
    return Sarathi.commandLine()
        .setOut(new PrintWriter(out, true))
        .setErr(new PrintWriter(err, true))
        .execute(arguments);
  }
}
