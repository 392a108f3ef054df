package dev.sarathi.connect;

import dev.sarathi.schemas.Priority;
import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.PatternSyntaxException;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigDef.Importance;
import org.apache.kafka.common.config.ConfigDef.Type;
import org.apache.kafka.common.config.ConfigException;

/** The settings of {@link BatchFileSourceConnector}. */
final class BatchFileSourceConfig extends AbstractConfig {
  static final String INPUT_PATH = "input.path";
  static final String INPUT_PATTERN = "input.pattern";
  static final String INPUT_SETTLE_MS = "input.settle.ms";
  static final String INPUT_POLL_MS = "input.poll.ms";
  static final String LINE_MAX_BYTES = "line.max.bytes";
  static final String POLL_LINES = "poll.lines";
  static final String FINISHED_ACTION = "finished.action";
  static final String FINISHED_DIRECTORY = "finished.directory";
  static final String PROMPTS_TOPIC = "prompts.topic";
  static final String COMPLETIONS_TOPIC = "completions.topic";
  static final String MODEL = "model";
  static final String PRIORITY = "priority";
  static final String TENANT = "tenant";
  static final String DEADLINE_MS = "deadline.ms";
  static final String MOVE = "move";
  static final String MARK = "mark";

  /** Set by the connector: which of the files are a task's. */
  static final String TASK = "task";

  /** Set by the connector: among how many tasks the files are divided. */
  static final String TASKS = "tasks";

  static final ConfigDef DEFINITION = definition();

  BatchFileSourceConfig(final Map<String, String> properties) {
    super(DEFINITION, properties, false);
  }

  Path input() {
    return Path.of(getString(INPUT_PATH)).toAbsolutePath().normalize();
  }

  /** Absent to mark finished files instead. */
  Optional<Path> finishedDirectory(final Path inputDirectory) {
    if (getString(FINISHED_ACTION).equals(MARK)) {
      return Optional.empty();
    }
    final String given = getString(FINISHED_DIRECTORY);
    return Optional.of(given.isEmpty() ? inputDirectory.resolve("finished") : Path.of(given));
  }

  Priority priority() {
    return Priority.valueOf(getString(PRIORITY).toUpperCase(Locale.ROOT));
  }

  private static ConfigDef definition() {
    final ConfigDef definition = new ConfigDef();
    final Group input = new Group(definition, "Input");
    input.add(
        INPUT_PATH,
        Type.STRING,
        ConfigDef.NO_DEFAULT_VALUE,
        new ConfigDef.NonEmptyString(),
        Importance.HIGH,
        "A directory that is watched for files, or one file.");
    input.add(
        INPUT_PATTERN,
        Type.STRING,
        "*.jsonl",
        ConfigDef.LambdaValidator.with(
            (name, value) -> requireGlob(name, (String) value), () -> "glob pattern"),
        Importance.MEDIUM,
        "Which files of the directory are taken, by name.");
    input.add(
        INPUT_SETTLE_MS,
        Type.LONG,
        1000L,
        ConfigDef.Range.atLeast(0),
        Importance.LOW,
        "A file is taken once it was not written for so long. Better move finished files into the"
            + " directory.");
    input.add(
        INPUT_POLL_MS,
        Type.LONG,
        1000L,
        ConfigDef.Range.atLeast(10),
        Importance.LOW,
        "How often the directory is looked at while there is nothing to send.");
    input.add(
        LINE_MAX_BYTES,
        Type.INT,
        1 << 19,
        ConfigDef.Range.between(1024, 1 << 26),
        Importance.LOW,
        "The most bytes of a line; a longer one has an error for a result. The producer's"
            + " max.request.size should be twice as much.");
    input.add(
        POLL_LINES,
        Type.INT,
        500,
        ConfigDef.Range.between(1, 100_000),
        Importance.LOW,
        "The most lines that are sent at once: in one transaction, where sources are exactly-once.");
    final Group finished = new Group(definition, "Finished files");
    finished.add(
        FINISHED_ACTION,
        Type.STRING,
        MOVE,
        ConfigDef.ValidString.in(MOVE, MARK),
        Importance.MEDIUM,
        "What becomes of a file whose requests are all committed: `move` puts it into"
            + " finished.directory, `mark` leaves it and writes an empty file NAME.done beside it.",
        List.of(FINISHED_DIRECTORY),
        Choice.of(MOVE, MARK));
    finished.add(
        FINISHED_DIRECTORY,
        Type.STRING,
        "",
        null,
        Importance.MEDIUM,
        "Where finished files go; empty for the directory `finished` in the input's.",
        List.of(),
        new OnlyWhenMoved());
    final Group requests = new Group(definition, "Requests");
    requests.add(
        PROMPTS_TOPIC,
        Type.STRING,
        "prompts",
        new ConfigDef.NonEmptyString(),
        Importance.HIGH,
        "The topic of the requests.");
    requests.add(
        COMPLETIONS_TOPIC,
        Type.STRING,
        "completions",
        new ConfigDef.NonEmptyString(),
        Importance.HIGH,
        "The topic of the results, to which the source writes those of malformed lines: errors.");
    requests.add(
        MODEL,
        Type.STRING,
        "",
        null,
        Importance.MEDIUM,
        "Replaces the model that the lines name; empty to pass on theirs, which the application"
            + " must serve.");
    requests.add(
        PRIORITY,
        Type.STRING,
        "bulk",
        ConfigDef.ValidString.in("bulk", "interactive"),
        Importance.MEDIUM,
        "The class in which the requests wait.",
        List.of(),
        Choice.of("bulk", "interactive"));
    requests.add(
        TENANT,
        Type.STRING,
        "",
        null,
        Importance.LOW,
        "On whose account they are served, where tenants share the application.");
    requests.add(
        DEADLINE_MS,
        Type.LONG,
        0L,
        ConfigDef.Range.atLeast(0),
        Importance.LOW,
        "Milliseconds after which a request ends, finished or not; 0 for never.");
    return definition
        .defineInternal(TASK, Type.INT, 0, Importance.LOW)
        .defineInternal(TASKS, Type.INT, 1, Importance.LOW);
  }

  private static void requireGlob(final String name, final String glob) {
    try {
      FileSystems.getDefault().getPathMatcher("glob:" + glob);
    } catch (final PatternSyntaxException e) {
      throw new ConfigException(name, glob, "is no glob pattern: " + e.getDescription());
    }
  }

  private static final class OnlyWhenMoved implements ConfigDef.Recommender {
    @Override
    public List<Object> validValues(final String name, final Map<String, Object> config) {
      return List.of();
    }

    @Override
    public boolean visible(final String name, final Map<String, Object> config) {
      return MOVE.equals(config.get(FINISHED_ACTION));
    }
  }
}
