package dev.sarathi.runtime.execute.cpu;

import dev.sarathi.runtime.execute.WeightFormat;
import dev.sarathi.runtime.model.ModelFormatException;
import dev.sarathi.runtime.model.Tensor;
import dev.sarathi.runtime.model.Weights.Norm;
import dev.sarathi.runtime.model.Weights.Projection;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * Copies a model's weights into the order that the kernels read, and refuses those that are no
 * numbers: one NaN would spoil every generation.
 *
 * @param directory the model's, for errors
 * @param kernels which of them
 * @param epsilon of every norm
 */
record WeightLoader(
    Path directory, Arena arena, KernelSet kernels, WeightFormat format, float epsilon) {

  /** A normalisation with its weights. */
  interface Normalisation {
    /**
     * @param sums scratch of {@link Lanes#VIRTUAL} floats
     */
    void run(float[] x, int xOffset, float[] y, int yOffset, float[] sums);
  }

  /** One matrix of the outputs of several projections, one after the other. */
  PackedMatrix matrix(final List<Projection> projections) {
    return PackedMatrix.pack(this, projections);
  }

  /** A weight that is looked up too, and therefore stays as stored. */
  PackedMatrix embedding(final Tensor weight) {
    return PackedMatrix.pack(
        new WeightLoader(directory, arena, kernels, WeightFormat.STORED, epsilon),
        List.of(Projection.of(weight, Optional.empty())));
  }

  Normalisation norm(final Norm norm) {
    final float[] weight = vector(norm.weight());
    return switch (norm) {
      case Norm.Rms rms ->
          (x, xOffset, y, yOffset, sums) ->
              RowKernels.rmsNorm(x, xOffset, weight, epsilon, y, yOffset, sums);
      case Norm.Layer layer -> {
        final float[] bias = vector(layer.bias());
        yield (x, xOffset, y, yOffset, sums) ->
            RowKernels.layerNorm(x, xOffset, weight, bias, epsilon, y, yOffset, sums);
      }
    };
  }

  float[] vector(final Tensor weight) {
    final float[] values = weight.toFloats();
    for (int i = 0; i < values.length; i++) {
      if (!Float.isFinite(values[i])) {
        throw refusal(weight, i);
      }
    }
    return values;
  }

  ModelFormatException refusal(final Tensor weight, final long index) {
    final List<Long> shape = weight.shape();
    final String place =
        shape.size() == 2
            ? "[" + index / shape.get(1) + ", " + index % shape.get(1) + "]"
            : "[" + index + "]";
    return new ModelFormatException(
        directory,
        "tensor "
            + weight.name()
            + " is "
            + weight.get(index)
            + " at "
            + place
            + "; every weight must be a finite number");
  }
}
