package dev.sarathi.connect;

import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.batch.BatchEntry;
import dev.sarathi.schemas.batch.BatchFile;
import dev.sarathi.schemas.batch.BatchRequest;
import dev.sarathi.schemas.batch.LineReader;
import java.io.IOException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.errors.RetriableException;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.source.SourceTask;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sends the lines of its share of the files, one file after the other, and puts a file away once
 * its last offset is committed.
 *
 * <p>Threading: all on the task's thread, but {@link #stop}, which only opens a latch.
 */
public final class BatchFileSourceTask extends SourceTask {
  private static final Logger log = LoggerFactory.getLogger(BatchFileSourceTask.class);
  private static final Schema REQUEST = ContractData.toConnect(PromptRequest.getClassSchema());
  private static final Schema COMPLETION = ContractData.toConnect(Completion.getClassSchema());
  private static final String DONE = ".done";

  private final CountDownLatch stopping = new CountDownLatch(1);
  private final Map<Path, BatchFile> sent = new LinkedHashMap<>();
  private final Set<Path> troubled = new HashSet<>();
  private BatchFileSourceConfig config;
  private Optional<OpenFile> open = Optional.empty();

  /** A file that is being sent. */
  private static final class OpenFile {
    private final BatchFile file;
    private final LineReader reader;
    private final Set<String> warnedOf = new HashSet<>();
    private long position;
    private int line;

    private OpenFile(final BatchFile file, final LineReader reader, final SourceOffset from) {
      this.file = file;
      this.reader = reader;
      this.position = from.position();
      this.line = Math.toIntExact(from.line());
    }

    static OpenFile at(final BatchFile file, final SourceOffset from, final int maxLineBytes)
        throws IOException {
      if (from.position() > 0) {
        try (LineReader before = LineReader.open(file.path(), from.position() - 1, 1)) {
          if (before.next().filter(line -> line.end() == from.position()).isEmpty()) {
            throw new ConnectException(
                "The offset of %s is %d, where no line begins; alter it to null to read the file again"
                    .formatted(file.path(), from.position()));
          }
        }
      }
      return new OpenFile(file, LineReader.open(file.path(), from.position(), maxLineBytes), from);
    }

    boolean isAtEnd() {
      return position >= file.end();
    }

    Optional<LineReader.Line> next() throws IOException {
      final Optional<LineReader.Line> next = reader.next();
      next.ifPresent(
          found -> {
            position = found.end();
            line++;
          });
      return next;
    }

    Map<String, Object> offset() {
      return new SourceOffset(file.fingerprint(), position, line).toMap();
    }
  }

  @Override
  public void start(final Map<String, String> properties) {
    config = new BatchFileSourceConfig(properties);
  }

  @Override
  public List<SourceRecord> poll() throws InterruptedException {
    try {
      if (open.isEmpty()) {
        open = openNext();
        putAway();
      }
      if (open.isEmpty()) {
        stopping.await(config.getLong(BatchFileSourceConfig.INPUT_POLL_MS), TimeUnit.MILLISECONDS);
        return null;
      }
      return read(open.get());
    } catch (final IOException e) {
      close();
      throw new RetriableException(e.toString(), e);
    }
  }

  @Override
  public void stop() {
    stopping.countDown();
  }

  @Override
  public String version() {
    return PluginVersion.VALUE;
  }

  private List<SourceRecord> read(final OpenFile from) throws IOException {
    final List<SourceRecord> records = new ArrayList<>();
    while (records.size() < config.getInt(BatchFileSourceConfig.POLL_LINES) && !from.isAtEnd()) {
      final Optional<LineReader.Line> line = from.next();
      if (line.isEmpty()) {
        throw new IOException(from.file.path() + " has become shorter while it was read");
      }
      if (!line.get().isBlank()) {
        records.add(record(from, line.get()));
      }
    }
    if (from.isAtEnd()) {
      sent.put(from.file.path(), from.file);
      close();
    }
    return records;
  }

  private SourceRecord record(final OpenFile from, final LineReader.Line line) {
    return switch (from.file.entry(from.line, line)) {
      case BatchEntry.Request request -> {
        warnOf(request.ignored(), from);
        yield request(from, request);
      }
      case BatchEntry.Refused refused ->
          record(
              from,
              config.getString(BatchFileSourceConfig.COMPLETIONS_TOPIC),
              refused.identity(),
              COMPLETION,
              ContractData.toConnect(
                  Completion.getClassSchema(), COMPLETION, refused.toCompletion(from.file.job())));
    };
  }

  private SourceRecord request(final OpenFile from, final BatchEntry.Request entry) {
    final String model = config.getString(BatchFileSourceConfig.MODEL);
    final long deadline = config.getLong(BatchFileSourceConfig.DEADLINE_MS);
    final PromptRequest request =
        entry
            .toPrompt(from.file.job())
            .setModel(model.isEmpty() ? entry.asked().getModel().orElse(null) : model)
            .setPriority(config.priority())
            .setTenant(config.getString(BatchFileSourceConfig.TENANT))
            .setDeadlineMs(deadline == 0 ? null : (Long) deadline)
            .build();
    return record(
        from,
        config.getString(BatchFileSourceConfig.PROMPTS_TOPIC),
        entry.identity(),
        REQUEST,
        ContractData.toConnect(PromptRequest.getClassSchema(), REQUEST, request));
  }

  private static SourceRecord record(
      final OpenFile from,
      final String topic,
      final BatchRequest identity,
      final Schema schema,
      final Object value) {
    return new SourceRecord(
        SourceOffset.partition(from.file.name()),
        from.offset(),
        topic,
        Schema.STRING_SCHEMA,
        identity.id(),
        schema,
        value);
  }

  private static void warnOf(final Set<String> ignored, final OpenFile from) {
    if (from.warnedOf.isEmpty() && !ignored.isEmpty()) {
      from.warnedOf.addAll(ignored);
      log.warn(
          "{}, line {}: body has {}, which mean nothing here and are ignored; no further warning of"
              + " this file",
          from.file.path(),
          from.line,
          ignored);
    }
  }

  // ---- which files

  private Optional<OpenFile> openNext() throws IOException {
    for (final Path path : files()) {
      if (sent.containsKey(path) || !isMine(path)) {
        continue;
      }
      try {
        final Optional<OpenFile> opened = isReady(path) ? open(path) : Optional.empty();
        if (opened.isPresent()) {
          return opened;
        }
      } catch (final IOException e) {
        warnOnce(path, "cannot be read", e);
      }
    }
    return Optional.empty();
  }

  /** Empty where all of it was sent before. */
  private Optional<OpenFile> open(final Path path) throws IOException {
    final int maxLineBytes = config.getInt(BatchFileSourceConfig.LINE_MAX_BYTES);
    final BatchFile file = BatchFile.scan(path, maxLineBytes);
    final SourceOffset from = committed(file).orElse(new SourceOffset(file.fingerprint(), 0, 0));
    if (from.position() >= file.end()) {
      sent.put(path, file);
      return Optional.empty();
    }
    log.info(
        "{}: {} lines, fingerprint {}, from byte {}",
        path,
        file.lines(),
        file.fingerprint(),
        from.position());
    return Optional.of(OpenFile.at(file, from, maxLineBytes));
  }

  /** One file's trouble does not keep the others waiting; it is tried again with every look. */
  private void warnOnce(final Path path, final String what, final IOException reason) {
    if (troubled.add(path)) {
      log.warn("{} {}; it is tried again, without further warning", path, what, reason);
    }
  }

  private Set<Path> files() throws IOException {
    final Path input = config.input();
    if (Files.isRegularFile(input)) {
      return Set.of(input);
    }
    final Set<Path> files = new TreeSet<>();
    if (Files.isDirectory(input)) {
      final String pattern = config.getString(BatchFileSourceConfig.INPUT_PATTERN);
      try (DirectoryStream<Path> found = Files.newDirectoryStream(input, pattern)) {
        found.forEach(files::add);
      }
    }
    return files;
  }

  /** Whichever task a file falls to, it falls to one. */
  private boolean isMine(final Path path) {
    final int tasks = config.getInt(BatchFileSourceConfig.TASKS);
    return Math.floorMod(path.getFileName().toString().hashCode(), tasks)
        == config.getInt(BatchFileSourceConfig.TASK);
  }

  private boolean isReady(final Path path) throws IOException {
    if (!Files.isRegularFile(path)) {
      return false;
    }
    final long written = Files.getLastModifiedTime(path).toMillis();
    final Path mark = mark(path);
    if (Files.exists(mark) && Files.getLastModifiedTime(mark).toMillis() >= written) {
      return false;
    }
    return System.currentTimeMillis() - written
        >= config.getLong(BatchFileSourceConfig.INPUT_SETTLE_MS);
  }

  private Optional<SourceOffset> committed(final BatchFile file) {
    return SourceOffset.of(
            context.offsetStorageReader().offset(SourceOffset.partition(file.name())))
        .filter(offset -> file.fingerprint().equals(offset.fingerprint()));
  }

  // ---- finished files

  private void putAway() {
    for (final BatchFile file : List.copyOf(sent.values())) {
      try {
        if (!file.isUnchanged()) {
          log.warn(
              "{} was changed after it had been taken; what it is now is another job", file.path());
          sent.remove(file.path());
        } else if (isCommitted(file)) {
          putAway(file);
          sent.remove(file.path());
        }
      } catch (final IOException e) {
        warnOnce(file.path(), "cannot be put away", e);
      }
    }
  }

  /** What says that a file is finished is the committed offset alone. */
  private boolean isCommitted(final BatchFile file) {
    return file.lines() == 0
        || committed(file).filter(offset -> offset.position() >= file.end()).isPresent();
  }

  private void putAway(final BatchFile file) throws IOException {
    final Optional<Path> directory = config.finishedDirectory(file.path().getParent());
    if (directory.isEmpty()) {
      final Path mark = mark(file.path());
      Files.deleteIfExists(mark);
      Files.createFile(mark);
    } else {
      Files.createDirectories(directory.get());
      move(file, directory.get());
    }
    log.info("{}: all {} lines are sent", file.path(), file.lines());
  }

  private static void move(final BatchFile file, final Path directory) throws IOException {
    final Path wanted = directory.resolve(file.name());
    final Path target =
        Files.exists(wanted)
            ? directory.resolve(file.name() + "." + file.fingerprint().substring(0, 8))
            : wanted;
    try {
      Files.move(file.path(), target, StandardCopyOption.ATOMIC_MOVE);
    } catch (final AtomicMoveNotSupportedException e) {
      Files.move(file.path(), target, StandardCopyOption.REPLACE_EXISTING);
    }
  }

  private static Path mark(final Path path) {
    return path.resolveSibling(path.getFileName() + DONE);
  }

  private void close() {
    open.ifPresent(
        file -> {
          try {
            file.reader.close();
          } catch (final IOException e) {
            log.warn("{} could not be closed", file.file.path(), e);
          }
        });
    open = Optional.empty();
  }
}
