package dev.sarathi.streams.cli;

import dev.sarathi.schemas.batch.DurableFile;
import dev.sarathi.schemas.batch.ResultLine;
import java.io.BufferedOutputStream;
import java.io.Closeable;
import java.io.IOException;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.BitSet;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The output and the error file of a batch, of which each line gets one result.
 *
 * <p>Results go into the files as they come. Where the input's order was asked for they wait in a
 * directory until all are there. What an earlier run has written is replaced: the topic has it all.
 *
 * <p>Threading: one thread.
 */
final class BatchOutput implements Closeable {

  /** Results of one kind, and where each lies if they are to be sorted. */
  private static final class Results implements Closeable {
    private record Place(long position, int bytes) {}

    private final Path file;
    private final Path target;
    private final FileChannel channel;
    private final OutputStream out;
    private final SortedMap<Integer, Place> places = new TreeMap<>();
    private long position;

    private Results(final Path file, final Path target) throws IOException {
      this.file = file;
      this.target = target;
      channel =
          FileChannel.open(
              file,
              StandardOpenOption.CREATE,
              StandardOpenOption.WRITE,
              StandardOpenOption.TRUNCATE_EXISTING);
      out = new BufferedOutputStream(Channels.newOutputStream(channel), 1 << 16);
    }

    private void add(final ResultLine result) throws IOException {
      final byte[] bytes = (result.json() + "\n").getBytes(StandardCharsets.UTF_8);
      out.write(bytes);
      if (!file.equals(target)) {
        places.put(result.line(), new Place(position, bytes.length));
      }
      position += bytes.length;
    }

    private void finish() throws IOException {
      out.flush();
      channel.force(true);
      if (!file.equals(target)) {
        DurableFile.write(target, this::copySorted);
      }
    }

    private void copySorted(final OutputStream sorted) throws IOException {
      try (RandomAccessFile unsorted = new RandomAccessFile(file.toFile(), "r")) {
        for (final Place place : places.values()) {
          final byte[] bytes = new byte[place.bytes()];
          unsorted.seek(place.position());
          unsorted.readFully(bytes);
          sorted.write(bytes);
        }
      }
    }

    @Override
    public void close() throws IOException {
      out.close();
    }
  }

  private final Path errorFile;
  private final Results succeeded;
  private final Results failed;
  private final BitSet answered = new BitSet();
  private int errors;

  /**
   * @param output the file of the results
   * @param unsorted where results wait until they are sorted; the output's own directory for those
   *     that need not be
   */
  BatchOutput(final Path output, final Path unsorted) throws IOException {
    this.errorFile = errorFile(output);
    final boolean direct = unsorted.equals(output.getParent());
    succeeded = new Results(direct ? output : unsorted.resolve("output.jsonl"), output);
    failed = new Results(direct ? errorFile : unsorted.resolve("errors.jsonl"), errorFile);
  }

  /** The file of the errors that belongs to an output. */
  static Path errorFile(final Path output) {
    final String name = output.getFileName().toString();
    final int dot = name.lastIndexOf('.');
    return output.resolveSibling(
        dot > 0
            ? name.substring(0, dot) + ".errors" + name.substring(dot)
            : name + ".errors.jsonl");
  }

  /**
   * Takes the result of a line.
   *
   * @return whether the line had none yet
   */
  boolean add(final ResultLine result) throws IOException {
    if (answered.get(result.line())) {
      return false;
    }
    answered.set(result.line());
    if (result.succeeded()) {
      succeeded.add(result);
    } else {
      errors++;
      failed.add(result);
    }
    return true;
  }

  boolean isAnswered(final int line) {
    return answered.get(line);
  }

  int answered() {
    return answered.cardinality();
  }

  int errors() {
    return errors;
  }

  /** Makes what came visible to other processes. */
  void flush() throws IOException {
    succeeded.out.flush();
    failed.out.flush();
  }

  /** Makes both files whole and durable; without errors there is no error file. */
  void finish() throws IOException {
    succeeded.finish();
    failed.finish();
    if (errors == 0) {
      Files.deleteIfExists(errorFile);
    }
  }

  @Override
  public void close() throws IOException {
    try (failed) {
      succeeded.close();
    }
  }
}
