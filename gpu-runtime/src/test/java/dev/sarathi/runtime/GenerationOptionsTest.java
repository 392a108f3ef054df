package dev.sarathi.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sarathi.runtime.schedule.Logprobs;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a request may ask for, with a real model. */
class GenerationOptionsTest {
  private static final Path STORYTELLER = Path.of("../models/storyteller");
  private static final String PROMPT = "Once upon a time";
  private static final GenerationRequest REQUEST =
      GenerationRequest.of("r", PROMPT).withMaxTokens(40);

  private GenerationEngine engine;

  @BeforeEach
  void start() {
    engine = GenerationEngine.start(EngineConfig.of(STORYTELLER).withTokenBudget(16));
  }

  @AfterEach
  void close() {
    engine.close();
  }

  @Test
  void shouldGenerateEachChoiceAsIfItWereAlone() throws Exception {
    // given
    final GenerationRequest request =
        REQUEST.withSampling(Sampling.at(1).withSeed(3)).withChoices(5);

    // when
    final List<TokenDelta> deltas = run(request);

    // then
    final Set<List<Integer>> distinct = new HashSet<>();
    for (int choice = 0; choice < 5; choice++) {
      distinct.add(tokens(deltas, choice));
      assertThat(ofChoice(deltas, choice).getLast().finish()).isPresent();
      assertThat(ofChoice(deltas, choice).stream().filter(d -> d.finish().isPresent())).hasSize(1);
    }
    assertThat(distinct).hasSize(5);
    assertThat(deltas.stream().filter(TokenDelta::last)).containsExactly(deltas.getLast());
    assertThat(tokens(run(request.withChoices(2)), 1)).isEqualTo(tokens(deltas, 1));
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void shouldShareThePromptsBlocksAmongTheChoices(final boolean prefixCache) throws Exception {
    // given a prompt of four blocks and a token
    engine.close();
    engine = GenerationEngine.start(EngineConfig.of(STORYTELLER).withPrefixCache(prefixCache));
    final int[] prompt = IntStream.range(0, 65).map(i -> 3 + i * 7).toArray();
    final GenerationRequest request =
        GenerationRequest.of("shared", new Prompt.Tokens(prompt))
            .withSampling(Sampling.at(1))
            .withIgnoreEos(true)
            .withMaxTokens(20)
            .withChoices(3);

    // when
    final List<TokenDelta> deltas = run(request);

    // then
    assertThat(cachedTokens(deltas, 0)).isZero();
    assertThat(cachedTokens(deltas, 1)).isEqualTo(64);
    assertThat(cachedTokens(deltas, 2)).isEqualTo(64);
    assertThat(cachedTokens(run(request), 0)).isEqualTo(prefixCache ? 64 : 0);
  }

  private static int cachedTokens(final List<TokenDelta> deltas, final int choice) {
    return ofChoice(deltas, choice).getLast().finish().orElseThrow().usage().cachedTokens();
  }

  @Test
  void shouldResumeEveryChoiceFromWhatItHadEmitted() throws Exception {
    // given
    final GenerationRequest request =
        REQUEST.withSampling(Sampling.at(1).withSeed(3)).withChoices(4);
    final List<TokenDelta> whole = run(request);
    final List<EmittedChoice> emitted =
        List.of(
            new EmittedChoice(ints(tokens(whole, 0)), true),
            new EmittedChoice(ints(tokens(whole, 1).subList(0, 7)), false),
            EmittedChoice.NOTHING);

    // when
    final CollectingListener listener = new CollectingListener();
    engine.resume(request, emitted, listener);
    final List<TokenDelta> rest = listener.deltas();

    // then
    assertThat(ofChoice(rest, 0)).isEmpty();
    assertThat(tokens(rest, 1)).isEqualTo(tokens(whole, 1).subList(7, tokens(whole, 1).size()));
    assertThat(ofChoice(rest, 1).getFirst().index()).isEqualTo(7);
    assertThat(tokens(rest, 2)).isEqualTo(tokens(whole, 2));
    assertThat(tokens(rest, 3)).isEqualTo(tokens(whole, 3));
  }

  @Test
  void shouldEndEveryChoiceOfACancelledGenerationOnce() throws Exception {
    // given
    final CollectingListener listener = new CollectingListener();
    final GenerationHandle handle =
        engine.submit(
            GenerationRequest.of("long", PROMPT).withIgnoreEos(true).withChoices(3), listener);

    // when
    handle.cancel();
    handle.cancel();

    // then
    assertThat(listener.deltas().stream().flatMap(delta -> delta.finish().stream()))
        .extracting(Finish::reason)
        .containsExactly(FinishReason.CANCELLED, FinishReason.CANCELLED, FinishReason.CANCELLED);
  }

  @Test
  void shouldReportLogprobsThatAgreeWithTheLogits() throws Exception {
    // given
    final CollectingListener listener = new CollectingListener();

    // when
    engine.submitWithLogits(REQUEST.withMaxTokens(3).withLogprobs(4), listener);

    // then
    final float[] logits = listener.logits();
    final Logprobs first = listener.deltas().getFirst().logprobs().getFirst();
    final double total =
        IntStream.range(0, logits.length).mapToDouble(i -> Math.exp(logits[i])).sum();
    assertThat(first.token()).isEqualTo(listener.deltas().getFirst().tokens()[0]);
    assertThat(first.topTokens()).hasSize(4).startsWith(first.token());
    assertThat(first.logprob())
        .isEqualTo(first.topLogprobs()[0])
        .isCloseTo((float) (logits[first.token()] - Math.log(total)), within(1e-4f));
    assertThat(listener.deltas()).allSatisfy(d -> assertThat(d.logprobs()).hasSize(1));
  }

  @Test
  void shouldReportThePromptsLogprobsAsIfItHadBeenGenerated() throws Exception {
    // given a continuation whose log-probabilities are known, over several chunks of a prompt
    final List<TokenDelta> generated =
        run(REQUEST.withLogprobs(2).withIgnoreEos(true).withMaxTokens(60));
    final int[] prompt = engineTokens(PROMPT);
    final int[] extended =
        IntStream.concat(Arrays.stream(prompt), Arrays.stream(ints(tokens(generated, 0))))
            .toArray();

    // when
    final List<TokenDelta> scored =
        run(
            GenerationRequest.of("scored", new Prompt.Tokens(extended))
                .withMaxTokens(2)
                .withPromptLogprobs(2));

    // then, although the cache holds the prompt
    final List<Logprobs> logprobs = scored.getFirst().promptLogprobs();
    assertThat(logprobs).hasSize(extended.length - 1);
    for (int i = 1; i < extended.length; i++) {
      assertThat(logprobs.get(i - 1).token()).isEqualTo(extended[i]);
    }
    for (int i = 0; i < generated.size(); i++) {
      assertThat(logprobs.get(prompt.length - 1 + i))
          .usingRecursiveComparison()
          .isEqualTo(generated.get(i).logprobs().getFirst());
    }
    assertThat(scored.getLast().promptLogprobs()).isEmpty();
  }

  @Test
  void shouldPenaliseRepetitionsOverTheWholeGeneration() throws Exception {
    // when every token is forbidden once it was seen
    final List<Integer> tokens =
        tokens(run(REQUEST.withSampling(Sampling.GREEDY.withPenalties(1e6f, 0, 0))), 0);

    // then
    assertThat(tokens).doesNotHaveDuplicates();
    assertThat(tokens)
        .doesNotContain(Arrays.stream(engineTokens(PROMPT)).boxed().toArray(Integer[]::new));
  }

  @Test
  void shouldYieldTheSamePenalisedTokensAfterAResume() throws Exception {
    // given
    final GenerationRequest request =
        REQUEST.withSampling(Sampling.at(0.8f).withPenalties(1.3f, 0.4f, 0.2f).withSeed(5));
    final List<Integer> whole = tokens(run(request), 0);

    // when
    final CollectingListener listener = new CollectingListener();
    engine.resume(request, List.of(new EmittedChoice(ints(whole.subList(0, 13)), false)), listener);

    // then
    assertThat(tokens(listener.deltas(), 0)).isEqualTo(whole.subList(13, whole.size()));
  }

  @Test
  void shouldFollowTheLogitBias() throws Exception {
    final List<Integer> plain = tokens(run(REQUEST), 0);

    assertThat(
            tokens(
                run(
                    REQUEST.withSampling(
                        Sampling.GREEDY.withLogitBias(Map.of(plain.get(0), -100f)))),
                0))
        .doesNotContain(plain.get(0));
    assertThat(
            tokens(run(REQUEST.withSampling(Sampling.GREEDY.withLogitBias(Map.of(77, 100f)))), 0))
        .containsOnly(77);
  }

  @Test
  void shouldEndAtAStopTokenEvenWhenTheModelsOwnEndIsIgnored() throws Exception {
    // given
    final List<TokenDelta> plain = run(REQUEST);
    final int stop = plain.get(9).tokens()[0];
    final int end = tokens(plain, 0).indexOf(stop);

    // when
    final List<TokenDelta> stopped = run(REQUEST.withIgnoreEos(true).withStopTokens(Set.of(stop)));

    // then
    assertThat(tokens(stopped, 0)).isEqualTo(tokens(plain, 0).subList(0, end + 1));
    assertThat(stopped.getLast().finish().orElseThrow().reason()).isEqualTo(FinishReason.STOP);
    assertThat(stopped.getLast().text()).isEmpty();
  }

  @Test
  void shouldKeepTheEndAndTheBeginningTokenOfATruncatedPrompt() throws Exception {
    // given
    final int[] whole = engineTokens("Tom had a red ball. " + PROMPT);
    final int[] kept = Arrays.copyOfRange(whole, whole.length - 8, whole.length);
    kept[0] = whole[0];

    // when
    final List<TokenDelta> truncated =
        run(
            GenerationRequest.of("t", new Prompt.Tokens(whole))
                .withMaxTokens(10)
                .withTruncatedPrompt(8));

    // then
    assertThat(tokens(truncated, 0))
        .isEqualTo(
            tokens(run(GenerationRequest.of("t", new Prompt.Tokens(kept)).withMaxTokens(10)), 0));
    assertThat(truncated.getLast().finish().orElseThrow().usage().promptTokens()).isEqualTo(8);
    assertThat(
            engine.validate(
                GenerationRequest.of("long", new Prompt.Tokens(new int[10_000]))
                    .withMaxTokens(96)
                    .withTruncatedPrompt(0)))
        .isEqualTo(engine.contextLength() - 96);
  }

  static Stream<Arguments> invalidRequests() {
    return Stream.of(
        Arguments.of(sampled(Sampling.at(1).withMinP(1.5f)), "min_p: 1.5 is not in [0, 1]"),
        Arguments.of(
            sampled(Sampling.GREEDY.withPenalties(0, 0, 0)),
            "repetition_penalty: 0.0 is not a finite number above 0"),
        Arguments.of(
            sampled(Sampling.GREEDY.withPenalties(1, Float.NaN, 0)),
            "presence_penalty: NaN is not in [-2, 2]"),
        Arguments.of(
            sampled(Sampling.GREEDY.withPenalties(1, 0, 2.5f)),
            "frequency_penalty: 2.5 is not in [-2, 2]"),
        Arguments.of(
            sampled(Sampling.GREEDY.withLogitBias(Map.of(3, 101f))),
            "logit_bias: 101.0 for token 3 is not in [-100, 100]"),
        Arguments.of(
            sampled(Sampling.GREEDY.withLogitBias(Map.of(898, 1f))),
            "logit_bias: 898 is not a token of the model; valid is 0 to 897"),
        Arguments.of(
            REQUEST.withStopTokens(Set.of(-1)),
            "stop_token_ids: -1 is not a token of the model; valid is 0 to 897"),
        Arguments.of(REQUEST.withChoices(0), "n: 0 is less than 1"),
        Arguments.of(REQUEST.withChoices(129), "n: 129 is more than 128"),
        Arguments.of(REQUEST.withLogprobs(21), "logprobs: 21 is more than 20"),
        Arguments.of(REQUEST.withPromptLogprobs(-1), "prompt_logprobs: -1 is less than 0"),
        Arguments.of(REQUEST.withTruncatedPrompt(-1), "truncate_prompt_tokens: -1 is less than 0"));
  }

  @ParameterizedTest
  @MethodSource("invalidRequests")
  void shouldNameTheInvalidValue(final GenerationRequest request, final String message) {
    assertThatThrownBy(() -> engine.submit(request, new CollectingListener()))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessage(message);
  }

  private static GenerationRequest sampled(final Sampling sampling) {
    return REQUEST.withSampling(sampling);
  }

  private List<TokenDelta> run(final GenerationRequest request) throws Exception {
    final CollectingListener listener = new CollectingListener();
    engine.submit(request, listener);
    return listener.deltas();
  }

  private static int[] engineTokens(final String text) {
    try (dev.sarathi.runtime.text.Tokenizer tokenizer =
        dev.sarathi.runtime.text.Tokenizer.open(STORYTELLER)) {
      return tokenizer.encode(text);
    }
  }

  private static List<TokenDelta> ofChoice(final List<TokenDelta> deltas, final int choice) {
    return deltas.stream().filter(delta -> delta.choice() == choice).toList();
  }

  private static List<Integer> tokens(final List<TokenDelta> deltas, final int choice) {
    return ofChoice(deltas, choice).stream()
        .flatMapToInt(delta -> Arrays.stream(delta.tokens()))
        .boxed()
        .toList();
  }

  private static int[] ints(final List<Integer> tokens) {
    return tokens.stream().mapToInt(i -> i).toArray();
  }
}
