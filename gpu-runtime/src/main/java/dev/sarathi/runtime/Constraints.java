package dev.sarathi.runtime;

import dev.sarathi.runtime.constrain.Automaton;
import dev.sarathi.runtime.constrain.ConstraintException;
import dev.sarathi.runtime.constrain.Grammar;
import dev.sarathi.runtime.constrain.Vocabulary;
import dev.sarathi.runtime.text.Tokenizer;
import dev.sarathi.runtime.text.TokenizerException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The automata of the constraints used last, for one model: requests with the same constraint share
 * what was found out about it.
 *
 * <p>Threading: any thread.
 */
final class Constraints {
  private static final int KEPT = 16;

  private final Optional<Tokenizer> tokenizer;
  private final int vocabularySize;
  private final Set<Integer> eosTokens;
  private final Map<Constraint, Compiled> compiled =
      new LinkedHashMap<>(KEPT, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(final Map.Entry<Constraint, Compiled> eldest) {
          return size() > KEPT;
        }
      };
  private Optional<Vocabulary> vocabulary = Optional.empty();

  /**
   * @param fewestTokens so many tokens suffice for the shortest text
   */
  record Compiled(Automaton automaton, int fewestTokens) {}

  Constraints(
      final Optional<Tokenizer> tokenizer, final int vocabularySize, final Set<Integer> eosTokens) {
    this.tokenizer = tokenizer;
    this.vocabularySize = vocabularySize;
    this.eosTokens = eosTokens;
  }

  /**
   * @throws InvalidRequestException if the constraint cannot be kept with this model
   */
  synchronized Compiled of(final Constraint constraint) {
    return compiled.computeIfAbsent(constraint, this::compile);
  }

  private Compiled compile(final Constraint constraint) {
    try {
      final Grammar grammar =
          switch (constraint) {
            case Constraint.OneOf oneOf -> Grammar.oneOf(oneOf.texts(), vocabulary());
            case Constraint.JsonSchema json -> Grammar.jsonSchema(json.schema(), vocabulary());
          };
      return new Compiled(new Automaton(grammar, vocabulary()), grammar.fewestTokens());
    } catch (final ConstraintException | TokenizerException e) {
      throw new InvalidRequestException("constraint", e.getMessage());
    }
  }

  /** Whether a token may be part of a constrained text. */
  synchronized boolean isText(final int token) {
    return vocabulary().hasText(token);
  }

  /** Made for the first constrained request: most engines never see one. */
  private Vocabulary vocabulary() {
    if (vocabulary.isEmpty()) {
      final byte[][] bytes =
          tokenizer
              .orElseThrow(
                  () ->
                      new InvalidRequestException(
                          "constraint", "needs a tokenizer.json, which this model lacks"))
              .bytes();
      vocabulary =
          Optional.of(
              Vocabulary.of(
                  vocabularySize,
                  id ->
                      id < bytes.length && !eosTokens.contains(id)
                          ? Optional.ofNullable(bytes[id])
                          : Optional.empty()));
    }
    return vocabulary.get();
  }
}
