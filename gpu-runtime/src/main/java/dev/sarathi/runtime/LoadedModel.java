package dev.sarathi.runtime;

import com.sun.management.OperatingSystemMXBean;
import dev.sarathi.runtime.execute.Executor;
import dev.sarathi.runtime.execute.WeightFormat;
import dev.sarathi.runtime.execute.cpu.CpuExecutor;
import dev.sarathi.runtime.execute.cpu.KernelSet;
import dev.sarathi.runtime.execute.cuda.CudaExecutor;
import dev.sarathi.runtime.model.Model;
import dev.sarathi.runtime.model.ModelConfig;
import dev.sarathi.runtime.text.ChatTemplate;
import dev.sarathi.runtime.text.Tokenizer;
import dev.sarathi.runtime.text.TokenizerException;
import dev.sarathi.runtime.text.jinja.TemplateException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A model as the engine needs it, beside its executor.
 *
 * @param contextLength the most tokens of one sequence
 * @param vocabularySize valid token ids are below it
 * @param bosToken the token that begins every text, if there is one
 * @param eosTokens the tokens by which the model ends a generation
 * @param tokenizer absent if the model's folder has none; then prompts are token ids
 * @param chatTemplate absent if the model's folder has none; then no prompt is a conversation
 */
record LoadedModel(
    String name,
    String fingerprint,
    int contextLength,
    int vocabularySize,
    OptionalInt bosToken,
    Set<Integer> eosTokens,
    Optional<Tokenizer> tokenizer,
    Optional<ChatTemplate> chatTemplate,
    Executor executor) {
  private static final Logger LOG = LoggerFactory.getLogger(LoadedModel.class);
  private static final int[] NO_TOKENS = {};

  /** The KV cache holds so many sequences of full context, where nothing else is asked for. */
  private static final int DEFAULT_FULL_CONTEXTS = 16;

  /** Rows computed at a time: fewer would be slower, more would not be faster. */
  private static final int MIN_ROWS = 512;

  private static final int MAX_ROWS = 4096;

  /**
   * Of the memory that is free when weights and buffers are there; the driver takes some itself.
   */
  private static final double GPU_SHARE = 0.95;

  static LoadedModel open(final EngineConfig config) {
    final long start = System.nanoTime();
    try (Model model = Model.open(config.model())) {
      final Optional<String> noGpu = noGpu(config, model.config());
      final int context =
          Math.min(model.config().maxPositions(), config.maxContext().orElse(Integer.MAX_VALUE));
      final Executor executor =
          noGpu.isEmpty() ? onGpu(config, model, context) : onCpu(config, model, context);
      final LoadedModel loaded =
          new LoadedModel(
              config.modelName(),
              model.fingerprint(),
              context,
              model.config().vocabularySize(),
              model.config().bosToken(),
              model.config().eosTokens(),
              Files.exists(config.model().resolve("tokenizer.json"))
                  ? Optional.of(Tokenizer.open(config.model()))
                  : Optional.empty(),
              ChatTemplate.open(config.model()),
              executor);
      LOG.info(
          "model {} loaded in {} ms: executor {} ({}), context {}, {} KV tokens, fingerprint {}",
          loaded.name,
          (System.nanoTime() - start) / 1_000_000,
          executor.limits().numericsId(),
          config.executor().equals("auto")
              ? "auto: " + noGpu.orElse("there is a GPU")
              : "asked for " + config.executor(),
          context,
          (long) executor.limits().kvBlocks() * executor.limits().blockTokens(),
          loaded.fingerprint);
      return loaded;
    }
  }

  /**
   * Why the model is not to run on a GPU; empty if it is.
   *
   * @throws IllegalArgumentException if it is asked to, but cannot
   */
  private static Optional<String> noGpu(final EngineConfig config, final ModelConfig model) {
    final Optional<String> problem = CudaExecutor.unsupported(model).or(CudaExecutor::unavailable);
    return switch (config.executor()) {
      case "cpu" -> Optional.of("asked for cpu");
      case "cuda" -> {
        problem.ifPresent(
            reason -> {
              throw new IllegalArgumentException("executor is cuda, but " + reason);
            });
        yield Optional.empty();
      }
      default -> problem;
    };
  }

  private static Executor onCpu(final EngineConfig config, final Model model, final int context) {
    final long bytesPerBlock = CpuExecutor.kvBytesPerBlock(model.config());
    final long contexts = Math.min(DEFAULT_FULL_CONTEXTS, config.maxSequences());
    final long memory =
        Math.min(
            contexts * Math.ceilDiv(context, CpuExecutor.BLOCK_TOKENS) * bytesPerBlock,
            machineMemory() / 4);
    return new CpuExecutor(
        model,
        kvBlocks(config, context, CpuExecutor.BLOCK_TOKENS, bytesPerBlock, memory),
        rowsAtATime(config),
        config.threads().orElseGet(() -> Runtime.getRuntime().availableProcessors()),
        weightFormat(config),
        KernelSet.named(config.kernels()));
  }

  private static Executor onGpu(final EngineConfig config, final Model model, final int context) {
    final long bytesPerBlock = CudaExecutor.kvBytesPerBlock(model.config());
    final long wanted =
        (long) config.maxSequences()
            * Math.ceilDiv(context, CudaExecutor.BLOCK_TOKENS)
            * bytesPerBlock;
    return CudaExecutor.open(
        model,
        rowsAtATime(config),
        context,
        weightFormat(config),
        free ->
            kvBlocks(
                config,
                context,
                CudaExecutor.BLOCK_TOKENS,
                bytesPerBlock,
                Math.min(wanted, (long) (free * GPU_SHARE))));
  }

  private static WeightFormat weightFormat(final EngineConfig config) {
    return config.weights().equals("int8") ? WeightFormat.INT8 : WeightFormat.STORED;
  }

  private static int rowsAtATime(final EngineConfig config) {
    return Math.clamp(
        (long) config.tokenBudget().most() + config.maxSequences(), MIN_ROWS, MAX_ROWS);
  }

  private static int kvBlocks(
      final EngineConfig config,
      final int context,
      final int blockTokens,
      final long bytesPerBlock,
      final long defaultMemory) {
    final int contextBlocks = Math.ceilDiv(context, blockTokens);
    final long memory = config.kvMemory().orElse(defaultMemory);
    final long blocks = memory / bytesPerBlock;
    if (blocks < contextBlocks) {
      throw new IllegalArgumentException(
          ("KV memory is %d bytes and holds %d tokens, but one sequence may have %d;"
                  + " valid is a KV memory of %d bytes or more, or a max context of %d or less")
              .formatted(
                  memory,
                  blocks * blockTokens,
                  context,
                  contextBlocks * bytesPerBlock,
                  blocks * blockTokens));
    }
    return Math.toIntExact(Math.min(blocks, Integer.MAX_VALUE / blockTokens));
  }

  /** Of the container, where there is one. */
  private static long machineMemory() {
    return ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getTotalMemorySize();
  }

  int[] encode(final Prompt prompt) {
    return switch (prompt) {
      case Prompt.Tokens tokens -> checked("token_ids", tokens.ids());
      case Prompt.Text text -> checked("prompt", encode("prompt", text.text(), true));
      case Prompt.Chat chat -> checked("messages", encode("messages", rendered(chat), false));
    };
  }

  private String rendered(final Prompt.Chat chat) {
    if (chatTemplate.isEmpty()) {
      throw new InvalidRequestException(
          "messages", "model " + name + " has no chat template; send prompt or token_ids");
    }
    if (chat.messages().isEmpty()) {
      throw new InvalidRequestException("messages", "is empty");
    }
    try {
      return chatTemplate
          .get()
          .render(
              chat.messages().stream()
                  .map(message -> new ChatTemplate.Message(message.role(), message.content()))
                  .toList());
    } catch (final TemplateException e) {
      throw new InvalidRequestException("messages", e.getMessage());
    }
  }

  private int[] encode(final String field, final String text, final boolean addSpecialTokens) {
    if (tokenizer.isEmpty()) {
      throw new InvalidRequestException(
          field, "is text, but model " + name + " has no tokenizer.json; send token ids");
    }
    try {
      return text.isEmpty() ? NO_TOKENS : tokenizer.get().encode(text, addSpecialTokens);
    } catch (final TokenizerException e) {
      throw new InvalidRequestException(field, e.getMessage());
    }
  }

  private int[] checked(final String field, final int[] ids) {
    if (ids.length == 0) {
      throw new InvalidRequestException(field.equals("messages") ? field : "prompt", "is empty");
    }
    check(field, ids);
    return ids.clone();
  }

  /**
   * @throws InvalidRequestException if an id is no token of the model, on which the executor would
   *     break down
   */
  void check(final String field, final int[] ids) {
    for (final int id : ids) {
      check(field, id);
    }
  }

  void check(final String field, final Set<Integer> ids) {
    ids.forEach(id -> check(field, id));
  }

  private void check(final String field, final int id) {
    if (id < 0 || id >= vocabularySize) {
      throw new InvalidRequestException(
          field, id + " is not a token of the model; valid is 0 to " + (vocabularySize - 1));
    }
  }

  void close() {
    executor.close();
    tokenizer.ifPresent(Tokenizer::close);
  }
}
