package dev.sarathi.streams.cli;

import dev.sarathi.schemas.JobCancellation;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.streams.SarathiConfig;
import java.io.PrintWriter;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.serialization.StringSerializer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code sarathi jobs}: how far the jobs of an application are. */
@Command(
    name = "jobs",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = {
      "Shows how many requests of each job wait, run and have ended for which reason, and the tokens"
          + " that they came to, as the topic of jobs says.",
      "A job is what requests have in their field job_id; each file of a connector is one."
    },
    subcommands = JobsCommand.Cancel.class,
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {"0:shown", "1:there is no such job, or Kafka failed", "2:misuse"})
final class JobsCommand implements Callable<Integer> {
  private static final String CLEAR = "\u001b[H\u001b[2J";
  private static final Duration POLL = Duration.ofSeconds(1);
  private static final int NAME_WIDTH = 36;

  @Spec private CommandSpec command;

  @Mixin private RunningApplication application = new RunningApplication();

  @Parameters(paramLabel = "JOB", arity = "0..1", description = "Shows this one alone.")
  private Optional<String> job = Optional.empty();

  @Option(names = "--watch", description = "Shows them again whenever they change, until Ctrl-C.")
  private boolean watch;

  @Option(names = "--json", description = "Prints a JSON object for each job.")
  private boolean json;

  @Override
  public Integer call() {
    try (JobsView view =
        new JobsView(application.client(), application.topic(SarathiConfig.JOBS_TOPIC_CONFIG))) {
      view.readToEnd();
      List<JobTotals> jobs = chosen(view);
      if (jobs.isEmpty() && job.isPresent() && !watch) {
        return unknown(command, job.get());
      }
      show(jobs);
      while (watch && !out().checkError()) {
        view.poll(POLL);
        final List<JobTotals> now = chosen(view);
        if (!now.equals(jobs)) {
          jobs = now;
          show(jobs);
        }
      }
      return 0;
    }
  }

  private static int unknown(final CommandSpec command, final String job) {
    command.commandLine().getErr().println("there is no job " + job);
    command.commandLine().getErr().flush();
    return 1;
  }

  private List<JobTotals> chosen(final JobsView view) {
    return view.jobs().stream()
        .filter(totals -> job.isEmpty() || totals.job().equals(job.get()))
        .toList();
  }

  private void show(final List<JobTotals> jobs) {
    if (json) {
      jobs.forEach(totals -> out().println(totals.json()));
    } else {
      if (watch && Terminal.attached().isPresent()) {
        out().print(CLEAR);
      }
      out()
          .printf(
              "%-" + NAME_WIDTH + "s  %-10s  %8s  %8s  %8s  %8s  %10s  %10s  %s%n",
              "JOB",
              "STATE",
              "WAITING",
              "RUNNING",
              "DONE",
              "FAILED",
              "PROMPT",
              "GENERATED",
              "TIME");
      jobs.forEach(this::show);
    }
    out().flush();
  }

  private void show(final JobTotals totals) {
    // Whole, or it could not be given to `jobs cancel`; the numbers of a long one are below it.
    final String name = totals.job();
    out()
        .printf(
            Locale.ROOT,
            "%-" + NAME_WIDTH + "s  %-10s  %,8d  %,8d  %,8d  %,8d  %,10d  %,10d  %s%n",
            name.length() <= NAME_WIDTH
                ? name
                : name + System.lineSeparator() + " ".repeat(NAME_WIDTH),
            totals.state(),
            totals.waiting(),
            totals.running(),
            totals.stop() + totals.length(),
            totals.cancelled() + totals.deadline() + totals.error(),
            totals.promptTokens(),
            totals.completionTokens(),
            time(totals));
  }

  private static String time(final JobTotals totals) {
    return totals
        .started()
        .map(
            start ->
                BatchView.clock(
                    Math.max(
                        0,
                        Duration.between(start, totals.finished().orElseGet(Instant::now))
                            .toSeconds())))
        .orElse("");
  }

  private PrintWriter out() {
    return command.commandLine().getOut();
  }

  /** {@code sarathi jobs cancel}. */
  @Command(
      name = "cancel",
      mixinStandardHelpOptions = true,
      versionProvider = Version.class,
      description = {
        "Cancels a job: what waits or runs of it ends in CANCELLED, and so does what is still to come.",
        "The cancellation is a record in each partition of the prompts: it takes effect when the"
            + " application comes to it, also if that does not run now."
      },
      exitCodeListHeading = "%nExit codes:%n",
      exitCodeList = {"0:it is stored", "1:there is no such job, or Kafka failed", "2:misuse"})
  static final class Cancel implements Callable<Integer> {
    @Spec private CommandSpec command;

    @Mixin private RunningApplication application = new RunningApplication();

    @Parameters(paramLabel = "JOB", description = "The job's id.")
    private String job;

    @Option(
        names = "--force",
        description = "Also a job of which nothing is known yet: its requests end as they come.")
    private boolean force;

    @Override
    public Integer call() throws InterruptedException, ExecutionException {
      final Map<String, Object> client = application.client();
      try (JobsView view =
          new JobsView(client, application.topic(SarathiConfig.JOBS_TOPIC_CONFIG))) {
        view.readToEnd();
        if (!force && view.jobs().stream().noneMatch(totals -> totals.job().equals(job))) {
          return unknown(command, job);
        }
      }
      final String prompts = application.topic(SarathiConfig.PROMPTS_TOPIC_CONFIG);
      try (Producer<String, PromptRequest> producer =
          new KafkaProducer<>(
              new HashMap<>(client),
              new StringSerializer(),
              SarathiSerdes.promptRequest(client).serializer())) {
        final List<Future<RecordMetadata>> stored = new ArrayList<>();
        for (final PartitionInfo partition : producer.partitionsFor(prompts)) {
          stored.add(producer.send(JobCancellation.of(prompts, partition.partition(), job)));
        }
        for (final Future<RecordMetadata> record : stored) {
          record.get();
        }
      }
      final PrintWriter out = command.commandLine().getOut();
      out.println(job + " is cancelled.");
      out.flush();
      return 0;
    }
  }
}
