package dev.sarathi.tests;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.Sampling;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The bundled model and prompts for it. */
public final class Stories {
  public static final Path MODEL =
      Path.of(System.getProperty("sarathi.home", ".."), "models", "storyteller")
          .toAbsolutePath()
          .normalize();

  /** As good as all that the model's context holds, beside a short prompt. */
  static final int ENDLESS = 3_900;

  /** Token ids of all the model's reference prompts, one after the other. */
  private static final List<Integer> TEXT = text();

  private Stories() {}

  private static List<Integer> text() {
    try {
      final List<Integer> ids = new ArrayList<>();
      for (final JsonNode story :
          new ObjectMapper().readTree(MODEL.resolve("golden.json").toFile())) {
        story.get("prompt_ids").forEach(id -> ids.add(id.asInt()));
      }
      return List.copyOf(ids);
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A prompt of so many tokens; different ones begin at different places of the text. */
  public static PromptRequest ofLength(final String id, final int tokens, final int maxTokens) {
    final int from = id.hashCode() % 500 + 500;
    return PromptRequest.newBuilder()
        .setId(id)
        .setTokenIds(TEXT.subList(from, from + tokens))
        .setMaxTokens(maxTokens)
        .setIgnoreEos(true)
        .setSampling(greedy())
        .build();
  }

  public static PromptRequest sampled(final String id, final int tokens, final int maxTokens) {
    return PromptRequest.newBuilder(ofLength(id, tokens, maxTokens))
        .setSampling(Sampling.newBuilder().setTemperature(0.8).setTopK(40).setTopP(0.95).build())
        .build();
  }

  /**
   * So many choices, and so long, that they run on while a test does what comes next, however fast
   * the machine.
   */
  static PromptRequest endless(final String id) {
    return PromptRequest.newBuilder(sampled(id, 20, ENDLESS)).setN(32).build();
  }

  /** Several choices, of which each goes on to the end of a sentence. */
  static PromptRequest sentences(final String id, final int tokens, final int maxTokens) {
    return PromptRequest.newBuilder(sampled(id, tokens, maxTokens))
        .setN(3)
        .setStop(List.of("."))
        .build();
  }

  static Sampling greedy() {
    return Sampling.newBuilder().setTemperature(0.0).build();
  }
}
