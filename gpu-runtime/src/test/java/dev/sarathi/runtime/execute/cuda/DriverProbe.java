package dev.sarathi.runtime.execute.cuda;

import dev.sarathi.runtime.execute.WeightFormat;
import dev.sarathi.runtime.execute.cpu.Generations;
import dev.sarathi.runtime.execute.cpu.Golden;
import dev.sarathi.runtime.model.Model;
import java.util.Arrays;
import java.util.List;

/** Runs a model on the first GPU that the driver offers, and tells of the bits that come out. */
public final class DriverProbe {
  private DriverProbe() {}

  /** Prints why there is no GPU, or a digest, or how it failed. */
  public static void main(final String[] arguments) {
    CudaExecutor.unavailable()
        .ifPresentOrElse(reason -> System.out.println("unavailable: " + reason), DriverProbe::run);
  }

  private static void run() {
    try (Model model = Model.open(Golden.LLAMA3);
        CudaExecutor executor =
            CudaExecutor.open(model, 100, 1024, WeightFormat.STORED, free -> 64)) {
      System.out.println(executor.limits().numericsId());
      System.out.println("digest " + digest(executor));
    } catch (final RuntimeException e) {
      System.out.println(e.getClass().getSimpleName() + ": " + e.getMessage());
      System.out.println("cause " + e.getCause());
    }
  }

  static int digest(final CudaExecutor executor) {
    final Generations generations = new Generations(executor, 1);
    Golden.read(Golden.LLAMA3).subList(0, 3).forEach(golden -> generations.add(golden.prompt(), 6));
    final List<float[]> logits =
        generations.finish(64).stream().flatMap(running -> running.logits.stream()).toList();
    return Arrays.deepHashCode(logits.toArray());
  }
}
