package dev.sarathi.streams.application;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.processor.api.Record;

/**
 * A record of the prompts topic, as it came, that waits for the schema registry; stored with a
 * format of its own, since restoring must not need the registry.
 *
 * @param topic the topic that it was read from
 * @param record its key, value, timestamp and headers; key and value may be null
 */
record HeldPrompt(String topic, Record<byte[], byte[]> record) {
  private static final int VERSION = 1;
  private static final int NULL = -1;

  byte[] encode() {
    final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (DataOutputStream out = new DataOutputStream(bytes)) {
      out.writeByte(VERSION);
      write(out, topic.getBytes(StandardCharsets.UTF_8));
      out.writeLong(record.timestamp());
      write(out, record.key());
      write(out, record.value());
      final Header[] headers = record.headers().toArray();
      out.writeInt(headers.length);
      for (final Header header : headers) {
        write(out, header.key().getBytes(StandardCharsets.UTF_8));
        write(out, header.value());
      }
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
    return bytes.toByteArray();
  }

  static HeldPrompt decode(final byte[] bytes) {
    try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes))) {
      final int version = in.readByte();
      if (version != VERSION) {
        throw new IOException("its version is " + version + ", valid is " + VERSION);
      }
      final String topic = new String(read(in), StandardCharsets.UTF_8);
      final long timestamp = in.readLong();
      final byte[] key = read(in);
      final byte[] value = read(in);
      final Headers headers = new RecordHeaders();
      for (int left = in.readInt(); left > 0; left--) {
        headers.add(new String(read(in), StandardCharsets.UTF_8), read(in));
      }
      return new HeldPrompt(topic, new Record<>(key, value, timestamp, headers));
    } catch (final IOException e) {
      throw new UncheckedIOException("a held prompt of " + bytes.length + " bytes is broken", e);
    }
  }

  private static void write(final DataOutputStream out, final byte[] bytes) throws IOException {
    out.writeInt(bytes == null ? NULL : bytes.length);
    if (bytes != null) {
      out.write(bytes);
    }
  }

  private static byte[] read(final DataInputStream in) throws IOException {
    final int length = in.readInt();
    return length == NULL ? null : in.readNBytes(length);
  }
}
