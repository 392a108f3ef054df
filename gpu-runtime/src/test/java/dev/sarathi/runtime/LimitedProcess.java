package dev.sarathi.runtime;

import java.nio.file.Path;
import java.util.Arrays;

/** Generates with the defaults, and prints what they were on this machine or in this container. */
final class LimitedProcess {
  private LimitedProcess() {}

  public static void main(final String[] arguments) throws Exception {
    final Path model = Path.of(arguments[0]);
    try (GenerationEngine engine =
        GenerationEngine.start(EngineConfig.of(model).withExecutor("cpu"))) {
      final CollectingListener listener = new CollectingListener();
      engine.submit(
          GenerationRequest.of("limited", new Prompt.Tokens(new int[] {1, 7, 9}))
              .withMaxTokens(20)
              .withIgnoreEos(true),
          listener);
      System.out.println("tokens " + Arrays.toString(listener.collected().tokens()));
      System.out.println("workers " + workers());
      System.out.println("blocks " + engine.load().totalBlocks());
    }
  }

  private static long workers() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(thread -> thread.getName().startsWith("sarathi-cpu-"))
        .count();
  }
}
