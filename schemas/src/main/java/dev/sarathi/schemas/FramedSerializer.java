package dev.sarathi.schemas;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DatumWriter;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Serializer;

/**
 * Writes byte for byte what Confluent's serializer writes. That one looks up the schema's id for
 * every record by a hash of the whole schema (7.9.2), which takes most of its time; so it is asked
 * for the first record of each topic, and the frame that it made, a zero byte and the id, goes
 * before the later ones.
 *
 * <p>Threading: one for each client, like every serializer.
 */
final class FramedSerializer<T extends SpecificRecordBase> implements Serializer<T> {
  private static final byte MAGIC = 0;
  private static final int FRAME_BYTES = 1 + Integer.BYTES;

  private final Serializer<T> confluent;
  private final Map<String, byte[]> frames = new HashMap<>();
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final DatumWriter<T> writer;
  private BinaryEncoder encoder = newEncoder();

  FramedSerializer(final Serializer<T> confluent, final Class<T> type) {
    this.confluent = confluent;
    this.writer = new DirectDatumWriter<>(type);
  }

  @Override
  public void configure(final Map<String, ?> config, final boolean isKey) {
    confluent.configure(config, isKey);
  }

  @Override
  public byte[] serialize(final String topic, final T record) {
    final byte[] frame = frames.get(topic);
    if (frame == null || record == null) {
      return first(topic, record);
    }
    out.reset();
    out.writeBytes(frame);
    try {
      writer.write(record, encoder);
      encoder.flush();
    } catch (final IOException | RuntimeException e) {
      encoder = newEncoder(); // the old one holds a part of the record
      throw new SerializationException(
          "a %s for topic %s cannot be written".formatted(record.getClass().getSimpleName(), topic),
          e);
    }
    return out.toByteArray();
  }

  /** With a buffer of its own: one without takes the stream's lock for every byte. */
  private BinaryEncoder newEncoder() {
    return EncoderFactory.get().binaryEncoder(out, null);
  }

  private byte[] first(final String topic, final T record) {
    final byte[] whole = confluent.serialize(topic, record);
    if (whole != null && whole.length >= FRAME_BYTES && whole[0] == MAGIC) {
      frames.put(topic, Arrays.copyOf(whole, FRAME_BYTES));
    }
    return whole;
  }

  @Override
  public void close() {
    confluent.close();
  }
}
