package dev.sarathi.streams.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.TokenRecord;
import dev.sarathi.schemas.Usage;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;

final class TokenViewTest {

  private final StringWriter written = new StringWriter();
  private final PrintWriter out = new PrintWriter(written);

  @Test
  void shouldKeepTheLinesOfInterleavedRequestsApart() {
    final TokenView view = new TokenView.Lines(out);

    view.show(tokens("a", 0, "The fox\nran ").build());
    view.show(tokens("b", 0, "A hen").build());
    view.show(tokens("a", 1, "home.").build());
    view.show(
        tokens("a", 2, "").setFinishReason(FinishReason.STOP).setUsage(new Usage(3, 2, 0)).build());
    view.refresh();

    assertThat(written.toString().lines())
        .containsExactly(
            "a | The fox", "a | ran home.", "a = STOP, 3 prompt and 2 generated tokens");
  }

  @Test
  void shouldKeepTheChoicesOfARequestApart() {
    final TokenView view = new TokenView.Lines(out);

    view.show(tokens("a", 0, "The fox").setChoice(1).build());
    view.show(tokens("a", 0, "A hen").build());
    view.show(tokens("a", 1, " ran.").setChoice(1).setFinishReason(FinishReason.STOP).build());
    view.show(tokens("a", 1, " ate.").setFinishReason(FinishReason.LENGTH).setLast(true).build());

    assertThat(written.toString().lines())
        .containsExactly("a#1 | The fox ran.", "a#1 = STOP", "a | A hen ate.", "a = LENGTH");
  }

  @Test
  void shouldShowAGapAndALateStart() {
    final TokenView view = new TokenView.Lines(out);

    view.show(tokens("a", 4, "late").build());
    view.show(tokens("a", 7, " gap").setFinishReason(FinishReason.LENGTH).build());

    assertThat(written.toString()).startsWith("a | …late⟨expected token 5, got 7⟩ gap");
  }

  @Test
  void shouldRedrawRunningRequestsInPlaceAndKeepFinishedOnes() {
    final TokenView view = new TokenView.Live(out, 30, 24);
    view.show(tokens("a", 0, "one\ntwo").build());
    view.show(tokens("b", 0, "a text that is longer than its row").build());
    view.refresh();
    assertThat(plain()).isEqualTo("a            one⏎two\nb            ger than its row\n");

    written.getBuffer().setLength(0);
    view.show(
        tokens("a", 1, "\u001b[2Jthree")
            .setFinishReason(FinishReason.ERROR)
            .setError("no")
            .build());
    view.refresh();

    assertThat(written.toString()).startsWith("\u001b[2F\u001b[J");
    assertThat(plain()).startsWith("a\none\ntwo [2Jthree\nERROR: no\n\nb   ");
  }

  @Test
  void shouldFitTheRowsOfTheTerminal() {
    final TokenView view = new TokenView.Live(out, 80, 5);
    for (int i = 0; i < 9; i++) {
      view.show(tokens("r" + i, 0, "x").build());
    }
    view.refresh();

    assertThat(plain().lines()).hasSize(4).last().isEqualTo("6 more");
  }

  private String plain() {
    return written.toString().replaceAll("\u001b\\[[?0-9;]*[A-Za-z]", "");
  }

  private static TokenRecord.Builder tokens(
      final String request, final int index, final String text) {
    return TokenRecord.newBuilder()
        .setRequestId(request)
        .setIndex(index)
        .setTokenIds(text.isEmpty() ? List.of() : List.of(17))
        .setText(text)
        .setEmittedAt(Instant.EPOCH);
  }
}
