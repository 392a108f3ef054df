package dev.sarathi.runtime.execute.cuda;

import dev.sarathi.runtime.execute.WeightFormat;
import dev.sarathi.runtime.model.DataType;
import dev.sarathi.runtime.model.Model;
import dev.sarathi.runtime.model.ModelFormatException;
import dev.sarathi.runtime.model.Tensor;
import dev.sarathi.runtime.model.Weights;
import dev.sarathi.runtime.model.Weights.Projection;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Brings a model's weights to the device: matrices as bfloat16, rounded to nearest even where they
 * are stored otherwise, or quantised, vectors as floats. Refuses what is no number, or becomes none
 * as bfloat16.
 */
final class WeightUpload {
  private static final int STAGING_BYTES = 32 << 20;
  private static final int INFINITE = 0x7F80;

  private static final ValueLayout.OfShort BF16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Driver driver;
  private final Path directory;
  private final WeightFormat format;
  private final MemorySegment staging;
  private final UploadProgress progress;

  WeightUpload(final Driver driver, final Model model, final WeightFormat format) {
    this.driver = driver;
    directory = model.directory();
    this.format = format;
    staging = driver.hostMemory(STAGING_BYTES);
    progress = new UploadProgress(matrixBytes(model), System::nanoTime);
  }

  /** Without scales. */
  private long matrixBytes(final Model model) {
    final Weights weights = model.weights();
    final Stream<Projection> head =
        model.config().tiedEmbeddings() ? Stream.empty() : Stream.of(whole(weights.head()));
    final long quantisable =
        Stream.concat(head, weights.layers().stream().flatMap(l -> l.projections().stream()))
            .mapToLong(WeightUpload::elements)
            .sum();
    final int elementBytes = format == WeightFormat.INT8 ? 1 : 2;
    return 2 * elements(whole(weights.embedding())) + elementBytes * quantisable;
  }

  private static Projection whole(final Tensor weight) {
    return Projection.of(weight, Optional.empty());
  }

  private static long elements(final Projection projection) {
    return (long) projection.outputs() * DeviceMatrix.padded(projection.inputs());
  }

  /** A weight that is looked up too, and therefore never quantised. */
  DeviceMatrix embedding(final Tensor weight) {
    return stored(List.of(whole(weight)));
  }

  DeviceMatrix matrix(final Tensor weight) {
    return matrix(List.of(whole(weight)));
  }

  /** One matrix of the outputs of several projections, one after the other. */
  DeviceMatrix matrix(final List<Projection> projections) {
    return switch (format) {
      case STORED -> stored(projections);
      case INT8 -> quantised(projections);
    };
  }

  private DeviceMatrix quantised(final List<Projection> projections) {
    final int outputs = projections.stream().mapToInt(Projection::outputs).sum();
    final int inputs = projections.getFirst().inputs();
    final int stride = DeviceMatrix.padded(inputs);
    final int scaleStride = DeviceMatrix.scaleStride(outputs);
    final float[] scales = new float[Math.multiplyExact(stride / DeviceMatrix.GROUP, scaleStride)];
    final long address = driver.allocate((long) outputs * stride);
    int first = 0;
    for (final Projection projection : projections) {
      final int begin = first;
      upload(
          projection,
          stride,
          address + (long) begin * stride,
          (output, offset) -> {
            final QuantisedRow row = quantised(projection, output);
            MemorySegment.copy(row.weights(), 0, staging, ValueLayout.JAVA_BYTE, offset, stride);
            for (int group = 0; group < row.scales().length; group++) {
              scales[group * scaleStride + begin + output] = row.scales()[group];
            }
          });
      first += projection.outputs();
    }
    return new DeviceMatrix(
        address, outputs, inputs, stride, bias(projections, outputs), vector(scales));
  }

  private QuantisedRow quantised(final Projection projection, final int output) {
    final Tensor weight = projection.weight();
    final int inputs = projection.inputs();
    final long from = (long) (projection.first() + output) * inputs;
    final QuantisedRow row = QuantisedRow.of(inputs, i -> weight.get(from + i));
    if (!row.finite()) {
      for (long i = from; i < from + inputs; i++) {
        if (!Float.isFinite(weight.get(i))) {
          throw refusal(weight, i);
        }
      }
    }
    return row;
  }

  private DeviceMatrix stored(final List<Projection> projections) {
    final int outputs = projections.stream().mapToInt(Projection::outputs).sum();
    final int inputs = projections.getFirst().inputs();
    final int stride = DeviceMatrix.padded(inputs);
    final long address = driver.allocate(2L * outputs * stride);
    long to = address;
    for (final Projection projection : projections) {
      upload(
          projection,
          2L * stride,
          to,
          (output, offset) -> convert(projection, output, staging, offset, stride));
      to += 2L * projection.outputs() * stride;
    }
    return new DeviceMatrix(address, outputs, inputs, stride, bias(projections, outputs));
  }

  /** Puts an output of a projection into the staging memory. */
  private interface Conversion {
    void run(int output, long offset);
  }

  private void upload(
      final Projection projection,
      final long rowBytes,
      final long address,
      final Conversion conversion) {
    final int atATime = Math.toIntExact(Math.max(1, staging.byteSize() / rowBytes));
    for (int from = 0; from < projection.outputs(); from += atATime) {
      final int first = from;
      final int rows = Math.min(atATime, projection.outputs() - from);
      IntStream.range(0, rows)
          .parallel()
          .forEach(row -> conversion.run(first + row, row * rowBytes));
      driver.upload(staging.asSlice(0, rows * rowBytes), address + first * rowBytes);
      driver.synchronize(); // the staging memory is used again
      progress.uploaded(rows * rowBytes);
    }
  }

  private void convert(
      final Projection projection,
      final int output,
      final MemorySegment to,
      final long offset,
      final int stride) {
    final Tensor weight = projection.weight();
    final int inputs = projection.inputs();
    final long from = (long) (projection.first() + output) * inputs;
    for (int i = 0; i < inputs; i++) {
      final short bits =
          weight.dataType() == DataType.BF16
              ? weight.data().get(BF16, (from + i) * 2)
              : round(weight.get(from + i));
      if ((bits & INFINITE) == INFINITE) {
        throw refusal(weight, from + i);
      }
      to.set(BF16, offset + 2L * i, bits);
    }
    to.asSlice(offset + 2L * inputs, 2L * (stride - inputs)).fill((byte) 0);
  }

  /** To nearest even. */
  static short round(final float value) {
    final int bits = Float.floatToRawIntBits(value);
    return Float.isNaN(value) ? (short) 0x7FFF : (short) (bits + 0x7FFF + (bits >>> 16 & 1) >>> 16);
  }

  private long bias(final List<Projection> projections, final int outputs) {
    if (projections.stream().allMatch(projection -> projection.bias().isEmpty())) {
      return 0;
    }
    final float[] values = new float[outputs];
    int to = 0;
    for (final Projection projection : projections) {
      final Optional<Tensor> bias = projection.bias();
      if (bias.isPresent()) {
        System.arraycopy(finite(bias.get()), projection.first(), values, to, projection.outputs());
      }
      to += projection.outputs();
    }
    return vector(values);
  }

  DeviceLayer.Norm norm(final Weights.Norm norm) {
    return switch (norm) {
      case Weights.Norm.Rms rms -> new DeviceLayer.Norm(vector(rms.weight()), 0);
      case Weights.Norm.Layer layer ->
          new DeviceLayer.Norm(vector(layer.weight()), vector(layer.bias()));
    };
  }

  long vector(final Tensor tensor) {
    return vector(finite(tensor));
  }

  /** Floats, of which there may be more than the staging memory takes. */
  long vector(final float[] values) {
    final long address = driver.allocate(4L * values.length);
    final int atATime = Math.toIntExact(staging.byteSize() / 4);
    for (int from = 0; from < values.length; from += atATime) {
      final int count = Math.min(atATime, values.length - from);
      MemorySegment.copy(values, from, staging, ValueLayout.JAVA_FLOAT, 0, count);
      driver.upload(staging.asSlice(0, 4L * count), address + 4L * from);
      driver.synchronize();
    }
    return address;
  }

  private float[] finite(final Tensor tensor) {
    final float[] values = tensor.toFloats();
    for (int i = 0; i < values.length; i++) {
      if (!Float.isFinite(values[i])) {
        throw refusal(tensor, i);
      }
    }
    return values;
  }

  private ModelFormatException refusal(final Tensor weight, final long index) {
    final List<Long> shape = weight.shape();
    final String place =
        shape.size() == 2
            ? "[" + index / shape.get(1) + ", " + index % shape.get(1) + "]"
            : "[" + index + "]";
    return new ModelFormatException(
        directory,
        "tensor %s is %s at %s; every weight must be a finite number%s"
            .formatted(
                weight.name(),
                weight.get(index),
                place,
                format == WeightFormat.STORED ? ", as bfloat16 too" : ""));
  }
}
