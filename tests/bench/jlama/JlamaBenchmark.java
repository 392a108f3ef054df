import com.github.tjake.jlama.model.AbstractModel;
import com.github.tjake.jlama.model.ModelSupport;
import com.github.tjake.jlama.safetensors.DType;
import com.github.tjake.jlama.safetensors.prompt.PromptContext;
import com.github.tjake.jlama.tensor.operations.TensorOperationsProvider;
import java.io.File;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;

/**
 * Several generations at once with Jlama, which batches nothing: each has a thread of its own, and
 * they share Jlama's pool. Timed from when all of them decode to when the first ends, as {@code
 * sarathi bench engine} does it.
 *
 * <p>Arguments: the model's folder, threads, sequences, tokens of each prompt, tokens to time.
 */
final class JlamaBenchmark {
  private static final int WARM_PROMPT = 16;
  private static final int WARM_TOKENS = 8;

  private record Generation(Thread thread, List<Long> times) {}

  public static void main(final String[] arguments) throws Exception {
    final File folder = new File(arguments[0]);
    final int threads = Integer.parseInt(arguments[1]);
    final int sequences = Integer.parseInt(arguments[2]);
    final int prompt = Integer.parseInt(arguments[3]);
    final int tokens = Integer.parseInt(arguments[4]);
    final AbstractModel model =
        ModelSupport.loadModel(
            folder,
            Files.createTempDirectory("jlama").toFile(),
            DType.F32,
            DType.I8,
            Optional.empty(),
            Optional.of(threads));
    measure(model, sequences, WARM_PROMPT, WARM_TOKENS);
    System.out.printf(
        Locale.ROOT,
        "{\"kernels\": \"%s\", \"sequences\": %d, \"tokens_per_second\": %.3f}%n",
        TensorOperationsProvider.get().name(),
        sequences,
        measure(model, sequences, prompt, tokens));
    System.exit(0);
  }

  private static double measure(
      final AbstractModel model, final int sequences, final int prompt, final int tokens)
      throws InterruptedException {
    final List<Generation> generations = new ArrayList<>();
    for (int i = 0; i < sequences; i++) {
      final List<Long> times = new ArrayList<>();
      final String text = text(i, prompt);
      // Its limit is on prompt and answer together; the prompt begins with a token of its own.
      final int limit = 1 + prompt + tokens;
      generations.add(
          new Generation(
              Thread.ofPlatform()
                  .start(
                      () ->
                          model.generate(
                              UUID.randomUUID(),
                              PromptContext.of(text),
                              0,
                              limit,
                              (_, _) -> times.add(System.nanoTime()))),
              times));
    }
    for (final Generation generation : generations) {
      generation.thread.join();
    }
    final long begin =
        generations.stream().mapToLong(g -> g.times.getFirst()).max().orElseThrow();
    final long end = generations.stream().mapToLong(g -> g.times.getLast()).max().orElseThrow();
    final long counted =
        generations.stream().flatMap(g -> g.times.stream()).filter(t -> t > begin).count();
    return counted / ((end - begin) / 1e9);
  }

  /** A letter is a token of the synthetic models. */
  private static String text(final int seed, final int letters) {
    final int[] drawn = new Random(seed).ints(letters, 'a', 'z' + 1).toArray();
    return new String(drawn, 0, letters);
  }
}
