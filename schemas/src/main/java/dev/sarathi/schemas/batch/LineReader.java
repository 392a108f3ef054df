package dev.sarathi.schemas.batch;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.Channels;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Reads lines and tells at which bytes they lie. Of a line too long it keeps the beginning. */
public final class LineReader implements Closeable {

  /**
   * @param end the position after the line and its end-of-line
   * @param bytes without the line feed
   * @param cut whether there was more than {@code bytes} holds
   */
  public record Line(long end, byte[] bytes, boolean cut) {
    public boolean isBlank() {
      for (final byte b : bytes) {
        if (b != ' ' && b != '\t' && b != '\r') {
          return false;
        }
      }
      return true;
    }
  }

  private final InputStream in;
  private final int maxBytes;
  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private long position;

  /**
   * @param in is read from where it stands
   * @param position the position of its first byte
   */
  public LineReader(final InputStream in, final long position, final int maxBytes) {
    this.in = new BufferedInputStream(in, 1 << 16);
    this.position = position;
    this.maxBytes = maxBytes;
  }

  public static LineReader open(final Path file, final long position, final int maxBytes)
      throws IOException {
    final SeekableByteChannel channel = Files.newByteChannel(file);
    channel.position(position);
    return new LineReader(Channels.newInputStream(channel), position, maxBytes);
  }

  /** Empty at the end of the file. The last line needs no line feed. */
  public Optional<Line> next() throws IOException {
    bytes.reset();
    final long start = position;
    boolean cut = false;
    int b = in.read();
    for (; b >= 0 && b != '\n'; b = in.read()) {
      position++;
      if (bytes.size() < maxBytes) {
        bytes.write(b);
      } else {
        cut = true;
      }
    }
    if (b >= 0) {
      position++;
    }
    return position == start
        ? Optional.empty()
        : Optional.of(new Line(position, bytes.toByteArray(), cut));
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
