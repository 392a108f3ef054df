package dev.sarathi.runtime.execute;

/** How the projections of a model are held in memory. */
public enum WeightFormat {
  /** As in the file: bfloat16, or float for everything else; on a GPU always bfloat16. */
  STORED,

  /**
   * Quantised when loaded: eight bits, and a symmetric float scale for each output and group of 64
   * inputs. Embedding and norms stay as stored, and so does an output projection that is tied to
   * the embedding.
   */
  INT8
}
