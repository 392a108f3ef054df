package dev.sarathi.connect;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.batch.BatchJob;
import dev.sarathi.schemas.batch.BatchRequest;
import dev.sarathi.schemas.batch.Endpoint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.sink.SinkRecord;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BatchFileSinkTaskTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Schema SCHEMA = ContractData.toConnect(Completion.getClassSchema());
  private static final String FINGERPRINT = "0123456789abcdef0123456789abcdef";

  @TempDir private Path directory;

  @Test
  void shouldMergeAJobOnceItsLastLineIsAnswered() throws Exception {
    // given
    final BatchFileSinkTask task = task(directory, "batch", new SinkContext());
    final BatchJob job = new BatchJob(FINGERPRINT, 3, "reviews.jsonl");

    // when
    put(task, record(0, 7, answer(job, 3, "c")), record(1, 9, answer(job, 1, "a")));
    task.preCommit(Map.of());

    // then
    final Path output = directory.resolve("reviews-0123456789ab.output.jsonl");
    final Path manifest = directory.resolve("reviews-0123456789ab.manifest.json");
    assertThat(output).doesNotExist();
    assertThat(JSON.readTree(manifest.toFile()).get("status").asText()).isEqualTo("in_progress");
    assertThat(JSON.readTree(manifest.toFile()).get("answered").asInt()).isEqualTo(2);

    // when: another task has the last one
    final BatchFileSinkTask other = task(directory, "batch", new SinkContext());
    put(other, record(2, 0, failure(job, 2, "b")));
    other.preCommit(Map.of());

    // then
    assertThat(Files.readAllLines(output))
        .extracting(line -> JSON.readTree(line).get("custom_id").asText())
        .containsExactly("a", "c");
    assertThat(Files.readAllLines(directory.resolve("reviews-0123456789ab.errors.jsonl")))
        .singleElement()
        .satisfies(
            line ->
                assertThat(JSON.readTree(line))
                    .isEqualTo(
                        JSON.readTree(
                            """
                            {"id":"batch_req_%s_2","custom_id":"b","response":null,"error":{"code":
                            "generation_failed","message":"temperature: -1.0 is no","param":null,"line":2}}
                            """
                                .formatted(FINGERPRINT))));
    assertThat(JSON.readTree(manifest.toFile()))
        .isEqualTo(
            JSON.readTree(
                """
                {"file":"reviews.jsonl","fingerprint":"%s","status":"completed","lines":3,"answered":3,
                "succeeded":2,"failed":1,"output_file":"reviews-0123456789ab.output.jsonl",
                "error_file":"reviews-0123456789ab.errors.jsonl"}
                """
                    .formatted(FINGERPRINT)));
    assertThat(directory.resolve(".parts").resolve(FINGERPRINT)).doesNotExist();

    // when: a part of it comes once more
    put(task, record(0, 7, answer(job, 3, "c")));
    task.preCommit(Map.of());

    // then
    assertThat(Files.readAllLines(output)).hasSize(2);
    assertThat(directory.resolve(".parts").resolve(FINGERPRINT)).doesNotExist();
  }

  @Test
  void shouldPassOverWhatIsNoBatchFilesAndRejectWhatIsNoCompletion() throws Exception {
    // given
    final SinkContext context = new SinkContext();
    final BatchFileSinkTask task = task(directory, "batch", context);
    final BatchJob hostile = new BatchJob(FINGERPRINT, 1, "../../passwd");

    // when
    put(
        task,
        record(0, 0, Completion.newBuilder(answer(hostile, 1, "a")).setJobId(null).build()),
        record(0, 1, answer(hostile, 1, "a")),
        new SinkRecord("completions", 0, null, "k", null, "text", 2),
        new SinkRecord("completions", 0, null, "k", null, null, 3),
        new SinkRecord("completions", 0, null, "k", null, Map.of("text", "a"), 4));
    task.preCommit(Map.of());

    // then
    assertThat(directory).isEmptyDirectory();
    assertThat(context.errant).extracting(SinkRecord::kafkaOffset).containsExactly(2L, 3L, 4L);
    assertThatThrownBy(
            () ->
                put(
                    task(directory, "batch", new SinkContext().withoutDeadLetters()),
                    new SinkRecord("completions", 0, null, "k", null, null, 3)))
        .isInstanceOf(ConnectException.class)
        .hasMessage("The record at completions-0 offset 3 cannot be taken: Completion is null");
  }

  @Test
  void shouldTakeCompletionsWithoutASchema() throws Exception {
    // given: what Connect's JSON converter makes of one
    final BatchJob job = new BatchJob(FINGERPRINT, 1, "in.jsonl");
    final Map<String, Object> value = new HashMap<>();
    value.put("request_id", FINGERPRINT + "/1/text/a");
    value.put("job_id", job.id());
    value.put("text", "Once");
    value.put("finish_reason", "STOP");
    value.put("token_ids", List.of(1L, 2L));
    value.put("prompted_at", 1_000L);
    value.put("emitted_at", 2_000L);
    final BatchFileSinkTask task = task(directory, "batch", new SinkContext());

    // when
    put(task, new SinkRecord("completions", 0, null, "k", null, value, 0));
    task.preCommit(Map.of());

    // then
    final JsonNode line = JSON.readTree(directory.resolve("in-0123456789ab.output.jsonl").toFile());
    assertThat(line.at("/response/body/choices/0/text").asText()).isEqualTo("Once");
    assertThat(line.at("/response/body/created").asInt()).isEqualTo(2);
  }

  @Property(tries = 100)
  void shouldCompleteEveryJobOnceWhateverIsReplayed(
      @ForAll @IntRange(min = 1, max = 30) final int lines, @ForAll final Random random)
      throws Exception {
    // given: two jobs' completions over three partitions
    final Path folder = Files.createTempDirectory(Path.of("target"), "sink");
    final List<BatchJob> jobs =
        List.of(
            new BatchJob(FINGERPRINT, lines, "one.jsonl"),
            new BatchJob("f" + FINGERPRINT.substring(1), lines + 1, "two.jsonl"));
    final List<List<SinkRecord>> partitions =
        List.of(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
    for (final BatchJob job : jobs) {
      for (int line = 1; line <= job.lines(); line++) {
        final int partition = random.nextInt(3);
        final String id = "id-" + line;
        partitions
            .get(partition)
            .add(
                record(
                    partition,
                    partitions.get(partition).size(),
                    line % 5 == 0 ? failure(job, line, id) : answer(job, line, id)));
      }
    }

    // when: tasks take turns; commits and puts are lost at random
    final int[] committed = new int[3];
    while (Stream.of(0, 1, 2).anyMatch(p -> committed[p] < partitions.get(p).size())) {
      final BatchFileSinkTask task = task(folder, "batch", new SinkContext());
      final int[] position = committed.clone();
      for (int step = random.nextInt(1, 5); step > 0; step--) {
        final int p = random.nextInt(3);
        final int to = Math.min(partitions.get(p).size(), position[p] + random.nextInt(1, 8));
        task.put(partitions.get(p).subList(position[p], to));
        position[p] = to;
        if (random.nextInt(3) == 0) {
          task.preCommit(Map.of());
          if (random.nextBoolean()) {
            System.arraycopy(position, 0, committed, 0, 3);
          }
        }
      }
    }

    // then
    for (final BatchJob job : jobs) {
      final String stem = job.file().replace(".jsonl", "-" + job.fingerprint().substring(0, 12));
      final List<String> succeeded = customIds(folder.resolve(stem + ".output.jsonl"));
      final List<String> failed = customIds(folder.resolve(stem + ".errors.jsonl"));
      assertThat(succeeded).doesNotHaveDuplicates().hasSize(job.lines() - job.lines() / 5);
      assertThat(failed).doesNotHaveDuplicates().hasSize(job.lines() / 5);
      assertThat(failed).doesNotContainAnyElementsOf(succeeded);
    }
    try (Stream<Path> left = Files.list(folder.resolve(".parts"))) {
      assertThat(left).map(path -> path.getFileName().toString()).containsExactly("lock");
    }
  }

  @Property(tries = 100)
  void shouldWriteEveryBareCompletionOnceWhateverIsReplayed(
      @ForAll @IntRange(min = 1, max = 60) final int count, @ForAll final Random random)
      throws Exception {
    // given
    final Path folder = Files.createTempDirectory(Path.of("target"), "bare");
    final BatchJob job = new BatchJob(FINGERPRINT, count, "in.jsonl");
    final List<SinkRecord> records = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      records.add(record(0, i, answer(job, i + 1, "id-" + i)));
    }

    // when
    int committed = 0;
    while (committed < count) {
      final BatchFileSinkTask task = task(folder, "completions", new SinkContext());
      int position = committed;
      for (int step = random.nextInt(1, 5); step > 0; step--) {
        final int to = Math.min(count, position + random.nextInt(1, 8));
        task.put(records.subList(position, to));
        if (random.nextInt(4) == 0) {
          task.put(records.subList(position, to)); // as after a retriable failure
        }
        position = to;
        if (random.nextInt(3) == 0) {
          task.preCommit(Map.of());
          if (random.nextBoolean()) {
            committed = position;
          }
        }
      }
    }

    // then
    final List<String> ids = new ArrayList<>();
    try (Stream<Path> files = Files.list(folder)) {
      for (final Path file : files.sorted().toList()) {
        for (final String line : Files.readAllLines(file)) {
          ids.add(JSON.readTree(line).get("request_id").asText());
        }
      }
    }
    assertThat(ids).containsExactlyElementsOf(records.stream().map(r -> (String) r.key()).toList());
  }

  @Test
  void shouldAskForACommitInTimeOrOnceItHoldsEnough() {
    // given
    final SinkContext context = new SinkContext();
    final BatchFileSinkTask task = new BatchFileSinkTask();
    task.initialize(context.context());
    task.start(Map.of("output.directory", directory.toString(), "flush.bytes", "600"));
    final BatchJob job = new BatchJob(FINGERPRINT, 3, "in.jsonl");

    // when
    task.put(List.of());

    // then
    assertThat(context.calls).isEmpty();

    // when there is little, to be called again in time
    put(task, record(0, 0, answer(job, 1, "a")));
    put(task, record(0, 1, answer(job, 2, "b")));

    // then
    assertThat(context.calls).containsExactly("timeout", "requestCommit");
  }

  @Test
  void shouldForgetWhatWaitsOfPartitionsThatAreTakenAway() {
    // given
    final BatchFileSinkTask task = task(directory, "batch", new SinkContext());
    put(task, record(0, 0, answer(new BatchJob(FINGERPRINT, 1, "in.jsonl"), 1, "a")));

    // when
    task.close(Set.of(new TopicPartition("completions", 0)));
    final Map<TopicPartition, OffsetAndMetadata> offsets = task.preCommit(Map.of());

    // then
    assertThat(offsets).isEmpty();
    assertThat(directory).isEmptyDirectory();
  }

  @Test
  void shouldRefuseSettingsThatCannotBe() throws Exception {
    final Path file = Files.createFile(directory.resolve("file"));

    assertThat(
            new BatchFileSinkConnector()
                    .validate(Map.of("output.directory", file.toString(), "output.format", "xml"))
                    .configValues()
                    .stream()
                    .flatMap(value -> value.errorMessages().stream()))
        .hasSize(2)
        .anyMatch(message -> message.contains("which is no directory that this worker can write"))
        .anyMatch(message -> message.contains("String must be one of: batch, completions"));
  }

  private static List<String> customIds(final Path file) throws IOException {
    final List<String> ids = new ArrayList<>();
    if (Files.exists(file)) {
      for (final String line : Files.readAllLines(file)) {
        ids.add(JSON.readTree(line).get("custom_id").asText());
      }
    }
    return ids;
  }

  private static Completion answer(final BatchJob job, final int line, final String customId) {
    return Completion.newBuilder()
        .setRequestId(new BatchRequest(job.fingerprint(), line, Endpoint.TEXT, customId).id())
        .setJobId(job.id())
        .setText("Once upon a time. ü".repeat(line % 3))
        .setFinishReason(FinishReason.LENGTH)
        .setPromptedAt(Instant.EPOCH)
        .setEmittedAt(Instant.EPOCH)
        .build();
  }

  private static Completion failure(final BatchJob job, final int line, final String customId) {
    return Completion.newBuilder(answer(job, line, customId))
        .setFinishReason(FinishReason.ERROR)
        .setError("temperature: -1.0 is no")
        .build();
  }

  private static SinkRecord record(
      final int partition, final long offset, final Completion completion) {
    return new SinkRecord(
        "completions",
        partition,
        Schema.STRING_SCHEMA,
        completion.getRequestId(),
        SCHEMA,
        ContractData.toConnect(Completion.getClassSchema(), SCHEMA, completion),
        offset,
        0L,
        TimestampType.CREATE_TIME);
  }

  private static void put(final BatchFileSinkTask task, final SinkRecord... records) {
    task.put(List.of(records));
  }

  private static BatchFileSinkTask task(
      final Path directory, final String format, final SinkContext context) {
    final BatchFileSinkTask task = new BatchFileSinkTask();
    task.initialize(context.context());
    task.start(Map.of("output.directory", directory.toString(), "output.format", format));
    return task;
  }
}
