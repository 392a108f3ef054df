package dev.sarathi.examples;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** Java records as JSON. Take the serde of your own data in its place. */
public final class Json {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private Json() {}

  /** A serde that may be shared by threads. */
  public static <T> Serde<T> serde(final Class<T> type) {
    return Serdes.serdeFrom((topic, value) -> write(value), (topic, bytes) -> read(bytes, type));
  }

  private static byte[] write(final Object value) {
    try {
      return value == null ? null : MAPPER.writeValueAsBytes(value);
    } catch (final JsonProcessingException e) {
      throw new SerializationException(e);
    }
  }

  private static <T> T read(final byte[] bytes, final Class<T> type) {
    try {
      return bytes == null ? null : MAPPER.readValue(bytes, type);
    } catch (final IOException e) {
      throw new SerializationException(e);
    }
  }
}
