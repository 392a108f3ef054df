package dev.sarathi.runtime.model;

import java.nio.file.Path;

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
    final ModelConfig config = ModelConfig.read(directory.resolve("config.json"));
    final Safetensors files = Safetensors.open(directory);
    try {
      final Weights weights = config.architecture().weights(config, files);
      return new Model(directory, config, files, weights, Fingerprint.of(directory, files.files()));
    } catch (RuntimeException e) {
      files.close();
      throw e;
    }
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
