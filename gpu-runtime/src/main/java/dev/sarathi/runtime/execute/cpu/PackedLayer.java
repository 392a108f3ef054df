package dev.sarathi.runtime.execute.cpu;

import dev.sarathi.runtime.execute.cpu.WeightLoader.Normalisation;
import dev.sarathi.runtime.model.Weights;
import dev.sarathi.runtime.model.Weights.FeedForward;
import java.util.List;
import java.util.Optional;

/**
 * A decoder layer as it is computed.
 *
 * @param window how many positions a query sees; {@link Integer#MAX_VALUE} for all
 * @param up where gated, the gate's outputs, then the others
 */
record PackedLayer(
    Normalisation attentionNorm,
    PackedMatrix queryKeyValue,
    Optional<HeadNorms> headNorms,
    int window,
    PackedMatrix output,
    boolean parallel,
    Optional<Normalisation> feedForwardNorm,
    boolean gated,
    PackedMatrix up,
    PackedMatrix down) {

  /** RMSNorm of single heads. */
  record HeadNorms(float[] query, float[] key) {}

  static PackedLayer load(final Weights.Layer layer, final WeightLoader loader) {
    return new PackedLayer(
        loader.norm(layer.attentionNorm()),
        loader.matrix(layer.queryKeyValue()),
        layer
            .headNorms()
            .map(norms -> new HeadNorms(loader.vector(norms.query()), loader.vector(norms.key()))),
        layer.window().orElse(Integer.MAX_VALUE),
        loader.matrix(List.of(layer.output())),
        layer.parallel(),
        layer.feedForwardNorm().map(loader::norm),
        layer.feedForward() instanceof FeedForward.Gated,
        switch (layer.feedForward()) {
          case FeedForward.Gated gated -> loader.matrix(List.of(gated.gate(), gated.up()));
          case FeedForward.Plain plain -> loader.matrix(List.of(plain.up()));
        },
        loader.matrix(List.of(layer.feedForward().down())));
  }

  long bytes() {
    return queryKeyValue.bytes() + output.bytes() + up.bytes() + down.bytes();
  }
}
