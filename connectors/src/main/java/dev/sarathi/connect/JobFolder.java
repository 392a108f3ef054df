package dev.sarathi.connect;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sarathi.schemas.batch.BatchJob;
import dev.sarathi.schemas.batch.DurableFile;
import dev.sarathi.schemas.batch.LineReader;
import dev.sarathi.schemas.batch.ResultLine;
import java.io.IOException;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The results of one input file: parts while lines are missing, and then one file of results, one
 * of errors, and a manifest, in the order of the input.
 *
 * <p>A line of a part is the number of the input's line, whether it succeeded, and the result.
 * Every result of a line is the same one, so parts may overlap: after a replay, or when a task goes
 * on writing what another has taken over. A job is complete when every one of its lines is in some
 * part.
 *
 * <p>Threading: any task may finish a job, one at a time: a lock within the process and a locked
 * file between processes. Who finds the parts complete is who wrote the last one, because each task
 * looks after it has written.
 */
final class JobFolder {
  private static final Logger log = LoggerFactory.getLogger(JobFolder.class);
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Lock FINISHING = new ReentrantLock();
  private static final String PARTS = ".parts";
  private static final char SUCCEEDED = 'o';
  private static final char FAILED = 'e';

  private final Path directory;
  private final BatchJob job;
  private final Path parts;
  private final Map<String, Integer> linesOfParts = new HashMap<>();

  JobFolder(final Path directory, final BatchJob job) {
    this.directory = directory;
    this.job = job;
    this.parts = directory.resolve(PARTS).resolve(job.fingerprint());
  }

  Path output() {
    return directory.resolve(stem() + ".output.jsonl");
  }

  Path errors() {
    return directory.resolve(stem() + ".errors.jsonl");
  }

  Path manifest() {
    return directory.resolve(stem() + ".manifest.json");
  }

  private String stem() {
    final int dot = job.file().lastIndexOf('.');
    final String name = dot > 0 ? job.file().substring(0, dot) : job.file();
    return name + "-" + job.fingerprint().substring(0, 12);
  }

  /** Puts a part in place of what was written under its name before. */
  void write(final PartName name, final List<ResultLine> results) throws IOException {
    Files.createDirectories(parts);
    final StringBuilder content = new StringBuilder();
    for (final ResultLine result : results) {
      content
          .append(result.line())
          .append(' ')
          .append(result.succeeded() ? SUCCEEDED : FAILED)
          .append(' ')
          .append(result.json())
          .append('\n');
    }
    DurableFile.write(parts.resolve(name.fileName()), content.toString());
  }

  /**
   * Merges the parts if every line is answered, and updates the manifest.
   *
   * @return whether the job is complete
   */
  boolean finish() throws IOException {
    FINISHING.lock();
    try {
      Files.createDirectories(directory.resolve(PARTS));
      try (FileChannel channel =
              FileChannel.open(
                  directory.resolve(PARTS).resolve("lock"),
                  StandardOpenOption.CREATE,
                  StandardOpenOption.WRITE);
          FileLock _ = channel.lock()) {
        return finishLocked();
      }
    } finally {
      FINISHING.unlock();
    }
  }

  private boolean finishLocked() throws IOException {
    if (isComplete()) {
      deleteParts();
      return true;
    }
    final List<Path> files = parts();
    int lines = 0;
    for (final Path file : files) {
      lines += lines(file);
    }
    // Overlaps make it too large, never too small; only now is it worth to look at every line.
    final Optional<Merge> merge =
        lines < job.lines() ? Optional.empty() : Optional.of(Merge.of(files));
    if (merge.isEmpty() || merge.get().results.size() < job.lines()) {
      writeManifest("in_progress", Math.min(lines, job.lines() - 1), 0);
      return false;
    }
    complete(merge.get());
    return true;
  }

  // The manifest comes last: until it says so the job is not complete, and this is done again.
  private void complete(final Merge merge) throws IOException {
    final int failed = merge.count(false);
    if (failed > 0) {
      DurableFile.write(errors(), out -> merge.write(false, out));
    } else {
      Files.deleteIfExists(errors());
    }
    DurableFile.write(output(), out -> merge.write(true, out));
    writeManifest("completed", job.lines(), failed);
    deleteParts();
    log.info("{}: {} lines, {} of them errors, in {}", job.file(), job.lines(), failed, output());
  }

  private boolean isComplete() throws IOException {
    try {
      final JsonNode manifest = JSON.readTree(Files.readAllBytes(manifest()));
      return manifest.path("status").asText().equals("completed")
          && manifest.path("fingerprint").asText().equals(job.fingerprint());
    } catch (final NoSuchFileException e) {
      return false;
    }
  }

  private void writeManifest(final String status, final int answered, final int failed)
      throws IOException {
    final boolean completed = answered == job.lines();
    final ObjectNode manifest =
        JsonNodeFactory.instance
            .objectNode()
            .put("file", job.file())
            .put("fingerprint", job.fingerprint())
            .put("status", status)
            .put("lines", job.lines())
            .put("answered", answered);
    if (completed) {
      manifest
          .put("succeeded", job.lines() - failed)
          .put("failed", failed)
          .put("output_file", output().getFileName().toString())
          .put("error_file", failed > 0 ? errors().getFileName().toString() : null);
    }
    DurableFile.write(manifest(), manifest.toPrettyString() + "\n");
  }

  private List<Path> parts() throws IOException {
    final TreeSet<Path> files = new TreeSet<>();
    if (Files.isDirectory(parts)) {
      try (DirectoryStream<Path> found = Files.newDirectoryStream(parts, "[!.]*")) {
        found.forEach(files::add);
      }
    }
    return List.copyOf(files);
  }

  private int lines(final Path part) throws IOException {
    final String key = part.getFileName() + "/" + Files.size(part);
    final Integer known = linesOfParts.get(key);
    if (known != null) {
      return known;
    }
    int lines = 0;
    try (LineReader reader = LineReader.open(part, 0, 0)) {
      while (reader.next().isPresent()) {
        lines++;
      }
    }
    linesOfParts.put(key, lines);
    return lines;
  }

  private void deleteParts() throws IOException {
    if (!Files.isDirectory(parts)) {
      return;
    }
    try (DirectoryStream<Path> files = Files.newDirectoryStream(parts)) {
      for (final Path file : files) {
        Files.deleteIfExists(file);
      }
    }
    Files.deleteIfExists(parts);
  }

  /** Where the result of each line lies. */
  private static final class Merge {
    private static final int HEAD_BYTES = 16;
    private static final int OPEN_PARTS = 128;

    private record Place(Path part, long position, int bytes, boolean succeeded) {}

    private final SortedMap<Integer, Place> results = new TreeMap<>();

    static Merge of(final List<Path> files) throws IOException {
      final Merge merge = new Merge();
      for (final Path file : files) {
        try (LineReader reader = LineReader.open(file, 0, HEAD_BYTES)) {
          long start = 0;
          for (Optional<LineReader.Line> next = reader.next();
              next.isPresent();
              next = reader.next()) {
            final String head = new String(next.get().bytes(), StandardCharsets.ISO_8859_1);
            final int space = head.indexOf(' ');
            final long position = start + space + 3;
            final long end = next.get().end();
            merge.results.put(
                Integer.valueOf(head.substring(0, space)),
                new Place(
                    file, position, (int) (end - position), head.charAt(space + 1) == SUCCEEDED));
            start = end;
          }
        }
      }
      return merge;
    }

    int count(final boolean succeeded) {
      return (int)
          results.values().stream().filter(place -> place.succeeded() == succeeded).count();
    }

    void write(final boolean succeeded, final OutputStream out) throws IOException {
      // In the input's order one goes from part to part; there may be more than may be open.
      final Map<Path, RandomAccessFile> open = new LinkedHashMap<>(16, 0.75f, true);
      try {
        for (final Place place : results.values()) {
          if (place.succeeded() == succeeded) {
            copy(place, part(place.part(), open), out);
          }
        }
      } finally {
        for (final RandomAccessFile part : open.values()) {
          part.close();
        }
      }
    }

    private static void copy(final Place place, final RandomAccessFile part, final OutputStream out)
        throws IOException {
      final byte[] bytes = new byte[place.bytes()];
      part.seek(place.position());
      part.readFully(bytes);
      out.write(bytes);
    }

    private static RandomAccessFile part(final Path path, final Map<Path, RandomAccessFile> open)
        throws IOException {
      final RandomAccessFile known = open.get(path);
      if (known != null) {
        return known;
      }
      if (open.size() == OPEN_PARTS) {
        final Path eldest = open.keySet().iterator().next();
        open.remove(eldest).close();
      }
      final RandomAccessFile opened = new RandomAccessFile(path.toFile(), "r");
      open.put(path, opened);
      return opened;
    }
  }
}
