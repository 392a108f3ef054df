package dev.sarathi.runtime.model;

import java.nio.file.Path;
import java.util.Map;

/**
 * A model on disk, checked and mapped, from which an executor loads.
 *
 * <p>Threading: immutable; its tensors may be read from any thread until {@link #close()}. An
 * executor copies what it needs when it is constructed, so that the model may be closed afterwards.
 */
public final class Model implements AutoCloseable {
  private final Path directory;
  private final ModelConfig config;
  private final Safetensors files;
  private final Weights weights;
  private final String fingerprint;

  private Model(
      final Path directory,
      final ModelConfig config,
      final Safetensors files,
      final Weights weights,
      final String fingerprint) {
    this.directory = directory;
    this.config = config;
    this.files = files;
    this.weights = weights;
    this.fingerprint = fingerprint;
  }

  /**
   * Opens a directory in Hugging Face's layout: {@code config.json} and safetensors.
   *
   * @throws ModelFormatException if anything in it is damaged or not supported
   */
  public static Model open(final Path directory) {
    return open(directory, DigestCache.ofUser());
  }

  static Model open(final Path directory, final DigestCache digests) {
    final ModelConfig config = ModelConfig.read(directory.resolve("config.json"));
    final Safetensors files = Safetensors.open(directory);
    try {
      final Weights weights = config.architecture().weights(config, files);
      final String fingerprint = Fingerprint.of(directory, files.files(), digests);
      return new Model(directory, config, files, weights, fingerprint);
    } catch (RuntimeException e) {
      files.close();
      throw e;
    }
  }

  /**
   * A model whose weights are not in files: how fast it is does not depend on what they say.
   *
   * @param directory has {@code config.json}
   * @param tensors by the names that they would have in the files
   * @throws ModelFormatException if one is missing or has another shape than the configuration says
   */
  public static Model of(final Path directory, final Map<String, Tensor> tensors) {
    final ModelConfig config = ModelConfig.read(directory.resolve("config.json"));
    final Safetensors files = Safetensors.of(directory, tensors);
    return new Model(
        directory,
        config,
        files,
        config.architecture().weights(config, files),
        Fingerprint.of(directory, files.files(), DigestCache.ofUser()));
  }

  public Path directory() {
    return directory;
  }

  public ModelConfig config() {
    return config;
  }

  public Weights weights() {
    return weights;
  }

  /** SHA-256, in hex, over the configuration, the tokenizer, the chat template and the weights. */
  public String fingerprint() {
    return fingerprint;
  }

  @Override
  public void close() {
    files.close();
  }
}
