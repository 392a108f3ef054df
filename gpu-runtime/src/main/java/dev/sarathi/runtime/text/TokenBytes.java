package dev.sarathi.runtime.text;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The bytes that a token adds to a text, by how its tokenizer writes tokens. */
enum TokenBytes {
  /** One character for each byte, as in GPT-2: a space is U+0120. */
  BYTE_LEVEL {
    @Override
    Optional<byte[]> of(final String token) {
      final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      for (int i = 0; i < token.length(); i++) {
        final int value = byteOf(token.charAt(i));
        if (value < 0) {
          // An added token is written as it is.
          return Optional.of(token.getBytes(StandardCharsets.UTF_8));
        }
        bytes.write(value);
      }
      return Optional.of(bytes.toByteArray());
    }
  },

  /** As SentencePiece does: a space is U+2581, and a byte that is no character {@code <0x0A>}. */
  SENTENCE_PIECE {
    @Override
    Optional<byte[]> of(final String token) {
      final Matcher single = SINGLE_BYTE.matcher(token);
      return Optional.of(
          single.matches()
              ? new byte[] {(byte) Integer.parseInt(single.group(1), 16)}
              : token.replace('\u2581', ' ').getBytes(StandardCharsets.UTF_8));
    }
  },

  /** In another way, which is not known. */
  UNKNOWN {
    @Override
    Optional<byte[]> of(final String token) {
      return Optional.empty();
    }
  };

  private static final Pattern SINGLE_BYTE = Pattern.compile("<0x([0-9A-F]{2})>");

  /**
   * Printable characters of Latin-1 stand for themselves, the other bytes follow from U+0100 on.
   */
  private static final int[] BYTES = new int[0x144];

  static {
    java.util.Arrays.fill(BYTES, -1);
    int next = 0x100;
    for (int value = 0; value < 256; value++) {
      final boolean printable =
          value >= '!' && value <= '~'
              || value >= 0xa1 && value <= 0xac
              || value >= 0xae && value <= 0xff;
      BYTES[printable ? value : next++] = value;
    }
  }

  private static int byteOf(final char character) {
    return character < BYTES.length ? BYTES[character] : -1;
  }

  /** Empty if that cannot be said. */
  abstract Optional<byte[]> of(String token);
}
