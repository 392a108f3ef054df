package dev.sarathi.runtime.capacity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WorkloadTest {
  @TempDir private Path directory;

  @Test
  void shouldBringTheWorkloadsOfThePaper() throws IOException {
    final Workload sharegpt = Workload.named("openchat_sharegpt4");

    assertThat(sharegpt.requests()).hasSize(2_048);
    assertThat(sharegpt.requests().getFirst())
        .isEqualTo(new Workload.Request(0.12222929281267798, 997, 391));
    assertThat(Workload.named("arxiv_summarization").requests())
        .hasSize(2_048)
        .allMatch(request -> request.prompt() + request.output() <= 16_384);
  }

  @Test
  void shouldReadAnyFileOfLengths() throws IOException {
    final Path file = file("num_prefill_tokens,num_decode_tokens\n7564.0,192.0\n50,2\n");

    final Workload workload = Workload.named(file.toString());

    assertThat(workload.requests()).extracting(Workload.Request::prompt).containsExactly(7564, 50);
    assertThat(workload.requests()).extracting(Workload.Request::output).containsExactly(192, 2);
    assertThat(workload.requests()).allMatch(request -> request.gap() > 0);
    assertThat(workload.contextLength()).isEqualTo(8_192);
  }

  @Test
  void shouldNameTheLineThatIsNoRequest() throws IOException {
    final Path file = file("prompt,output\n10,20\n10,0\n");

    assertThatThrownBy(() -> Workload.named(file.toString()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(file + ": line 3 is no request: 10,0");
  }

  @Test
  void shouldNameMissingColumns() throws IOException {
    final Path file = file("input,output\n10,20\n");

    assertThatThrownBy(() -> Workload.named(file.toString()))
        .hasMessage(file + ": the columns are [input, output]; needed are prompt and output");
  }

  @Test
  void shouldListWhatThereIs() {
    assertThatThrownBy(() -> Workload.named("sharegpt"))
        .hasMessage(
            "trace is sharegpt; valid is arxiv_summarization, openchat_sharegpt4 or a CSV file");
  }

  @Test
  void shouldRefuseMoreRequestsThanItHas() throws IOException {
    final Workload workload = Workload.named("openchat_sharegpt4");

    assertThatThrownBy(() -> workload.first(2_049))
        .hasMessage("2049 requests of openchat_sharegpt4; valid is 1 to 2048");
  }

  private Path file(final String content) throws IOException {
    return Files.writeString(directory.resolve("lengths.csv"), content);
  }
}
