package dev.sarathi.runtime.benchmark.gpu;

import dev.sarathi.runtime.benchmark.gpu.ReferenceModel.Reference;
import dev.sarathi.runtime.benchmark.gpu.ScheduledRun.Running;
import dev.sarathi.runtime.execute.Executor;
import dev.sarathi.runtime.execute.WeightFormat;
import dev.sarathi.runtime.execute.cuda.CudaExecutor;
import dev.sarathi.runtime.execute.cuda.Driver;
import dev.sarathi.runtime.execute.cuda.Primitive;
import dev.sarathi.runtime.model.Model;
import dev.sarathi.runtime.schedule.Policy;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * Whether a GPU computes what it should: its instructions against plain arithmetic, small models of
 * every family against what transformers make of them, and against themselves in other company.
 */
public final class GpuCheck {
  /** Of transformers' own error in bfloat16, as much is allowed. */
  private static final double ALLOWED = 2;

  private static final int ROWS = 512;

  /** So few that a batch is computed in parts, and every tile has an edge inside of it. */
  private static final int FEW_ROWS = 37;

  /** Beyond what is computed together, so that blocks lie apart. */
  private static final int SPARE_BLOCKS = 8;

  private static final String ARITHMETIC = "results beside plain arithmetic";
  private static final String LOGITS = "logits beside transformers'";
  private static final String GREEDY = "greedy tokens beside transformers'";
  private static final String BITS = "bits in company beside those alone";

  private final Supplier<Driver> drivers;
  private final Path references;
  private final List<ReferenceModel> models;

  /** Others beside a sequence, and how its prompt is cut. */
  private record Company(Policy policy, int tokenBudget, boolean scarce) {
    @Override
    public String toString() {
      return policy + ", budget " + tokenBudget + (scarce ? ", few blocks" : "");
    }
  }

  private static final List<Company> COMPANIES =
      List.of(
          new Company(Policy.STALL_FREE, 64, false),
          new Company(Policy.PREFILL_FIRST, ROWS, false),
          new Company(Policy.STALL_FREE, 4 * ROWS, true));

  /**
   * @param drivers of the device, a new one at each call
   * @param references the folder with the models {@code golden}, their errors {@code
   *     golden-bf16.json}, and in {@code primitives} what devices made of each instruction
   * @param longestPrompt longer ones are left out
   * @throws java.io.UncheckedIOException if there are none
   */
  public GpuCheck(final Supplier<Driver> drivers, final Path references, final int longestPrompt) {
    this.drivers = drivers;
    this.references = references;
    this.models = ReferenceModel.in(references, longestPrompt);
  }

  /** The names of the models. */
  public List<String> models() {
    return models.stream().map(ReferenceModel::name).toList();
  }

  /**
   * Checks the instructions that kernels are made of, each alone.
   *
   * @param seen takes each check as it is done
   * @return the bits, unless the device failed
   */
  public Optional<PrimitiveRecording> primitives(final Consumer<Check> seen) {
    final PrimitiveRecording recording;
    try (Driver driver = drivers.get()) {
      recording = PrimitiveRecording.of(driver);
    } catch (final RuntimeException e) {
      seen.accept(Check.of("instructions", "that the device computes at all", false, innermost(e)));
      return Optional.empty();
    }
    for (final Primitive primitive : Primitive.values()) {
      final double error = primitive.error(recording.results().get(primitive));
      seen.accept(
          Check.of(
              primitive.instruction(),
              ARITHMETIC,
              error <= primitive.allowedError(),
              "largest error %.2g, at most %.2g; %d results"
                  .formatted(error, primitive.allowedError(), primitive.results())));
    }
    PrimitiveRecording.of(references, recording.architecture())
        .ifPresent(before -> seen.accept(beside(before, recording)));
    return Optional.of(recording);
  }

  private static Check beside(final PrimitiveRecording before, final PrimitiveRecording now) {
    final List<String> others =
        Arrays.stream(Primitive.values())
            .filter(p -> !Arrays.equals(before.results().get(p), now.results().get(p)))
            .map(Primitive::instruction)
            .toList();
    return Check.of(
        "instructions",
        "bits beside those recorded",
        others.isEmpty(),
        others.isEmpty()
            ? "those of a " + before.device()
            : "other than on a %s: %s".formatted(before.device(), String.join(", ", others)));
  }

  /**
   * Checks a model; a device that fails has failed the check.
   *
   * @param name one of {@link #models()}
   * @param seen takes each check as it is done
   */
  public void run(final String name, final Consumer<Check> seen) {
    final ReferenceModel reference =
        models.stream().filter(model -> model.name().equals(name)).findFirst().orElseThrow();
    try (Model model = Model.open(reference.directory())) {
      final List<Running> alone = new ArrayList<>();
      try (Executor executor = open(model, reference, ROWS)) {
        for (final Reference prompt : reference.references()) {
          final ScheduledRun run = run(executor, Policy.STALL_FREE, ROWS, blocks(reference));
          alone.add(run.add(prompt.prompt(), prompt.greedy().length, true));
          run.finish();
        }
      }
      seen.accept(logits(reference, alone));
      seen.accept(greedy(reference, alone));
      try (Executor executor = open(model, reference, FEW_ROWS)) {
        seen.accept(bits(reference, alone, executor));
      }
    } catch (final RuntimeException e) {
      seen.accept(Check.of(name, "that the device computes at all", false, innermost(e)));
    }
  }

  private static String innermost(final Throwable error) {
    return error.getCause() == null
        ? String.valueOf(error.getMessage())
        : innermost(error.getCause());
  }

  private Executor open(final Model model, final ReferenceModel reference, final int rows) {
    return CudaExecutor.open(
        drivers.get(),
        model,
        rows,
        model.config().maxPositions(),
        WeightFormat.STORED,
        free -> blocks(reference));
  }

  private static ScheduledRun run(
      final Executor executor, final Policy policy, final int budget, final int blocks) {
    return new ScheduledRun(
        executor, policy, budget, blocks, blocks * CudaExecutor.BLOCK_TOKENS, 64);
  }

  /** For all sequences of full length. */
  private static int blocks(final ReferenceModel reference) {
    return SPARE_BLOCKS
        + reference.references().stream()
            .mapToInt(r -> blocksOf(r.prompt().length + r.greedy().length))
            .sum();
  }

  private static int blocksOf(final int tokens) {
    return Math.ceilDiv(tokens, CudaExecutor.BLOCK_TOKENS);
  }

  private static Check logits(final ReferenceModel model, final List<Running> alone) {
    double worst = 0;
    for (int i = 0; i < alone.size(); i++) {
      final Reference reference = model.references().get(i);
      final double error = distance(alone.get(i).logits().getFirst(), reference.logits());
      // written so that NaN is the worst
      worst = error / reference.bf16Error() <= worst ? worst : error / reference.bf16Error();
    }
    return Check.of(
        model.name(),
        LOGITS,
        worst <= ALLOWED,
        "%.2f of bfloat16's own error, at most %.0f; %d prompts"
            .formatted(worst, ALLOWED, alone.size()));
  }

  /**
   * Two logits may each be off: their difference by at most the square root of two times the norm
   * of all errors.
   */
  private static Check greedy(final ReferenceModel model, final List<Running> alone) {
    int sure = 0;
    int same = 0;
    int wrong = 0;
    for (int i = 0; i < alone.size(); i++) {
      final Reference reference = model.references().get(i);
      boolean alike = true;
      for (int t = 0; t < reference.greedy().length && alike; t++) {
        final float[] logits = alone.get(i).logits().get(t);
        final double slack = Math.sqrt(2) * ALLOWED * reference.bf16Error() * norm(logits);
        final boolean isSure = margin(logits) > slack;
        alike = alone.get(i).tokens().get(t) == reference.greedy()[t];
        sure += isSure ? 1 : 0;
        same += alike ? 1 : 0;
        wrong += isSure && !alike ? 1 : 0;
      }
    }
    return Check.of(
        model.name(),
        GREEDY,
        wrong == 0 && sure > 0,
        "%d of %d sure ones differ; %d are alike".formatted(wrong, sure, same));
  }

  private static Check bits(
      final ReferenceModel model, final List<Running> alone, final Executor executor) {
    int rows = 0;
    long preemptions = 0;
    for (final Company company : COMPANIES) {
      // Where all prompts are computed at once and fill all blocks, the first answer that needs
      // another one takes it from somebody.
      final int prompts =
          model.references().stream().mapToInt(r -> blocksOf(r.prompt().length)).sum();
      final int longest =
          model.references().stream()
              .mapToInt(r -> blocksOf(r.prompt().length + r.greedy().length))
              .max()
              .orElseThrow();
      final int blocks = company.scarce() ? Math.max(prompts, longest) : blocks(model);
      final ScheduledRun run = run(executor, company.policy(), company.tokenBudget(), blocks);
      final List<Running> together =
          model.references().stream()
              .map(r -> run.add(r.prompt(), r.greedy().length, true))
              .toList();
      run.finish();
      for (int i = 0; i < together.size(); i++) {
        for (int t = 0; t < together.get(i).logits().size(); t++) {
          if (!Arrays.equals(together.get(i).logits().get(t), alone.get(i).logits().get(t))) {
            return Check.of(
                model.name(),
                BITS,
                false,
                "prompt %d, token %d differs under %s".formatted(i + 1, t + 1, company));
          }
          rows++;
        }
      }
      preemptions += run.preemptions();
    }
    return Check.of(
        model.name(),
        BITS,
        preemptions > 0,
        "%d rows of logits alike, %d preemptions".formatted(rows, preemptions));
  }

  private static double distance(final float[] actual, final float[] expected) {
    final float[] difference = new float[expected.length];
    for (int i = 0; i < expected.length; i++) {
      difference[i] = actual[i] - expected[i];
    }
    return norm(difference) / norm(expected);
  }

  private static double norm(final float[] values) {
    double squares = 0;
    for (final float value : values) {
      squares += (double) value * value;
    }
    return Math.sqrt(squares);
  }

  /** By how much the largest of these is larger than the next. */
  private static float margin(final float[] logits) {
    final float[] sorted = logits.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length - 1] - sorted[sorted.length - 2];
  }
}
