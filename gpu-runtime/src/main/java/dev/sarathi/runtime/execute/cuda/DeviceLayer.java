package dev.sarathi.runtime.execute.cuda;

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
record DeviceLayer(
    Norm attentionNorm,
    DeviceMatrix queryKeyValue,
    HeadNorms headNorms,
    int window,
    DeviceMatrix output,
    boolean parallel,
    Optional<Norm> feedForwardNorm,
    boolean gated,
    DeviceMatrix up,
    DeviceMatrix down) {

  /** The addresses of a norm's floats; one without a bias is by the root of the mean square. */
  record Norm(long weight, long bias) {}

  /** The addresses of the norms of single heads, or 0. */
  record HeadNorms(long query, long key) {
    static final HeadNorms NONE = new HeadNorms(0, 0);
  }

  static DeviceLayer load(final Weights.Layer layer, final WeightUpload upload) {
    return new DeviceLayer(
        upload.norm(layer.attentionNorm()),
        upload.matrix(layer.queryKeyValue()),
        layer
            .headNorms()
            .map(norms -> new HeadNorms(upload.vector(norms.query()), upload.vector(norms.key())))
            .orElse(HeadNorms.NONE),
        layer.window().orElse(Integer.MAX_VALUE),
        upload.matrix(List.of(layer.output())),
        layer.parallel(),
        layer.feedForwardNorm().map(upload::norm),
        layer.feedForward() instanceof FeedForward.Gated,
        switch (layer.feedForward()) {
          case FeedForward.Gated gated -> upload.matrix(List.of(gated.gate(), gated.up()));
          case FeedForward.Plain plain -> upload.matrix(List.of(plain.up()));
        },
        upload.matrix(List.of(layer.feedForward().down())));
  }

  long bytes() {
    return queryKeyValue.bytes() + output.bytes() + up.bytes() + down.bytes();
  }
}
