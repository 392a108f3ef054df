package dev.sarathi.runtime.model;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A decoder, described by its weights: what is present is computed, what is absent is not. This is
 * all that an executor knows of a model beside its sizes and its rotary embedding.
 *
 * @param embedding {@code [vocabulary, hidden]}
 * @param head {@code [vocabulary, hidden]}; the embedding itself where the two are tied
 */
public record Weights(Tensor embedding, List<Layer> layers, Norm finalNorm, Tensor head) {

  public Weights {
    layers = List.copyOf(layers);
  }

  /**
   * One decoder layer. Sequential: attention reads the normalised residual stream and is added to
   * it, then the feed-forward layer does the same. Parallel: both read the same residual stream and
   * are added together.
   *
   * @param queryKeyValue yields all query heads, then all key heads, then all value heads
   * @param headNorms of each query and key head, before it is rotated
   * @param window how many positions back a query sees, itself the first; all where absent
   * @param parallel whether attention and feed-forward layer read the same residual stream
   * @param feedForwardNorm absent where a parallel feed-forward layer reads what attention reads
   */
  public record Layer(
      Norm attentionNorm,
      List<Projection> queryKeyValue,
      Optional<HeadNorms> headNorms,
      OptionalInt window,
      Projection output,
      boolean parallel,
      Optional<Norm> feedForwardNorm,
      FeedForward feedForward) {

    public Layer {
      queryKeyValue = List.copyOf(queryKeyValue);
      if (feedForwardNorm.isEmpty() && !parallel) {
        throw new IllegalArgumentException("a sequential layer needs a feed-forward norm");
      }
    }

    /** All of them. */
    public List<Projection> projections() {
      final List<Projection> all = new ArrayList<>(queryKeyValue);
      all.add(output);
      all.addAll(feedForward.projections());
      return all;
    }
  }

  /** RMSNorm of each head's vector; both weights {@code [head dimension]}. */
  public record HeadNorms(Tensor query, Tensor key) {}

  /** A normalisation of the residual stream; weight and bias {@code [hidden]}. */
  public sealed interface Norm {
    Tensor weight();

    /** By the root of the mean square. */
    record Rms(Tensor weight) implements Norm {}

    /** By mean and standard deviation. */
    record Layer(Tensor weight, Tensor bias) implements Norm {}
  }

  /**
   * Some rows of a weight {@code [outputs, inputs]} and of the bias {@code [outputs]} beside it.
   *
   * @param first the first row
   * @param outputs how many rows
   */
  public record Projection(Tensor weight, Optional<Tensor> bias, int first, int outputs) {

    /** All rows. */
    public static Projection of(final Tensor weight, final Optional<Tensor> bias) {
      return new Projection(weight, bias, 0, Math.toIntExact(weight.shape().getFirst()));
    }

    /** Some of the rows. */
    public Projection rows(final int from, final int count) {
      return new Projection(weight, bias, first + from, count);
    }

    public int inputs() {
      return Math.toIntExact(weight.shape().get(1));
    }
  }

  /** What follows attention. */
  public sealed interface FeedForward {
    Projection down();

    /** All of them. */
    List<Projection> projections();

    /** {@code down(silu(gate(x)) * up(x))}. */
    record Gated(Projection gate, Projection up, Projection down) implements FeedForward {
      @Override
      public List<Projection> projections() {
        return List.of(gate, up, down);
      }
    }

    /** {@code down(gelu(up(x)))}, by the exact GELU. */
    record Plain(Projection up, Projection down) implements FeedForward {
      @Override
      public List<Projection> projections() {
        return List.of(up, down);
      }
    }
  }
}
