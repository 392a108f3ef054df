package dev.sarathi.runtime.constrain;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.charset.StandardCharsets;
import java.util.BitSet;
import java.util.Optional;
import java.util.Random;

/**
 * What the mask of a token costs, for a vocabulary of 128k tokens made up: the first document that
 * a schema leads to, and those after it, for which most states are known. In processor time, which
 * other programs do not change much.
 */
final class MaskBenchmark {
  private static final int SIZE = 128_000;
  private static final String SCHEMA =
      """
      {"type": "object",
       "properties": {
         "name": {"type": "string", "maxLength": 60},
         "story": {"type": "string"},
         "age": {"type": "integer", "minimum": 0, "maximum": 120},
         "tags": {"type": "array", "items": {"enum": ["new", "old", "sold"]}, "maxItems": 4},
         "parts": {"type": "array", "items": {"$ref": "#"}}},
       "required": ["name", "story", "age", "tags"]}
      """;

  private static final ThreadMXBean CLOCK = ManagementFactory.getThreadMXBean();

  private MaskBenchmark() {}

  public static void main(final String[] arguments) {
    final Random random = new Random(1);
    final Vocabulary vocabulary =
        Vocabulary.of(SIZE, id -> Optional.of(id < 256 ? new byte[] {(byte) id} : word(random)));
    for (int round = 0; round < 2; round++) {
      final Automaton automaton = new Automaton(Grammar.jsonSchema(SCHEMA, vocabulary), vocabulary);
      for (int document = 0; document < 6; document++) {
        final Guide guide = new Guide(automaton, new int[0]);
        long nanos = 0;
        long longest = 0;
        int count = 0;
        for (; count < 200 && !guide.isComplete(); count++) {
          final long start = CLOCK.getCurrentThreadCpuTime();
          final long[] allowed = guide.allowed(200 - count);
          final long took = CLOCK.getCurrentThreadCpuTime() - start;
          nanos += took;
          longest = Math.max(longest, took);
          final int[] tokens = BitSet.valueOf(allowed).stream().toArray();
          guide.accept(tokens[random.nextInt(tokens.length)]);
        }
        System.out.printf(
            "automaton %d document %d: %d tokens, mask %.1f us on average, %.2f ms at most%n",
            round, document, count, nanos / 1e3 / count, longest / 1e6);
      }
    }
  }

  /** As long as words of a real vocabulary are. */
  private static byte[] word(final Random random) {
    final StringBuilder word = new StringBuilder(random.nextInt(3) > 0 ? " " : "");
    for (int length = 1 + random.nextInt(5) + random.nextInt(5); length > 0; length--) {
      word.append(
          random.nextInt(40) == 0
              ? "\"{}[],:".charAt(random.nextInt(7))
              : random.nextInt(20) == 0 ? 'é' : (char) ('a' + random.nextInt(26)));
    }
    return word.toString().getBytes(StandardCharsets.UTF_8);
  }
}
