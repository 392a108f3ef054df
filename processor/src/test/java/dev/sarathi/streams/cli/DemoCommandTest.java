package dev.sarathi.streams.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

final class DemoCommandTest {
  private static final Path MODEL = Path.of("..", "models", "storyteller");

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @Test
  void shouldTellEveryStoryAndLeaveNothingBehind() throws IOException {
    // given
    final List<Path> before = directories();
    final List<ProcessHandle> children = ProcessHandle.current().descendants().toList();

    // when
    final int code = run("--plain", "--tokens=16", "--model=" + MODEL);

    // then
    assertThat(code).as("%s%n%s", out, err).isZero();
    assertThat(out.toString())
        .contains("Warming up", "everyone arrives: a prompt of 1,916 tokens")
        .containsPattern("TTFT seen by the consumer( +\\d+\\.\\d){4}")
        .containsPattern("TTFT in the engine( +\\d+\\.\\d){4}")
        .containsPattern("TBT seen by the consumer( +\\d+\\.\\d){4}")
        .containsPattern("TBT in the engine( +\\d+\\.\\d){2}")
        .containsPattern("192 tokens at [\\d,]+ tokens/s");
    for (String story : "mira tom ada nina ravi zoe ivy anna clara june lena everyone".split(" ")) {
      assertThat(out.toString())
          .containsPattern(" s +" + story + " +begins")
          .containsPattern(" s +" + story + " +ends, 16 tokens: ….* \\| \\S+");
    }
    assertThat(directories()).isEqualTo(before);
    assertThat(ProcessHandle.current().descendants())
        .allMatch(child -> children.contains(child) || !child.isAlive());
  }

  @Test
  void shouldRefuseWhatCannotWork() {
    assertThat(run("--token-budget=15")).isEqualTo(2);
    assertThat(err.toString()).contains("token budget is 15; valid is auto, or 16 or more");
    assertThat(run("--tokens=0")).isEqualTo(2);
    assertThat(err.toString()).contains("--tokens is 0, must be at least 1");
  }

  @Test
  void shouldSayThatThereIsNoModel() throws IOException {
    final List<Path> before = directories();

    assertThat(run("--model=no/such/folder")).isEqualTo(1);

    assertThat(err.toString()).contains("no/such/folder");
    assertThat(directories()).isEqualTo(before);
  }

  private int run(final String... arguments) {
    return new CommandLine(new DemoCommand())
        .setOut(new PrintWriter(out))
        .setErr(new PrintWriter(err))
        .execute(arguments);
  }

  private static List<Path> directories() throws IOException {
    try (Stream<Path> files = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
      return files
          .filter(file -> file.getFileName().toString().startsWith("sarathi-demo-"))
          .sorted()
          .toList();
    }
  }
}
