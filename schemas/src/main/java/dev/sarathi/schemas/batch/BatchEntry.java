package dev.sarathi.schemas.batch;

import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.PromptRequest;
import java.time.Instant;
import java.util.Set;

/** What a line of a batch file comes to. */
public sealed interface BatchEntry {

  /** What names the line, and its result. */
  BatchRequest identity();

  /**
   * A request.
   *
   * @param asked what its body asks for, without an id
   * @param ignored the body's fields that mean nothing here
   */
  record Request(BatchRequest identity, PromptRequest asked, Set<String> ignored)
      implements BatchEntry {

    /** The request as it goes into the prompts topic, with id and job; more may be set. */
    public PromptRequest.Builder toPrompt(final BatchJob job) {
      return PromptRequest.newBuilder(asked).setId(identity.id()).setJobId(job.id());
    }
  }

  /** No request. */
  record Refused(BatchRequest identity, String reason) implements BatchEntry {

    /** The answer to it: an error. */
    public Completion toCompletion(final BatchJob job) {
      final Instant now = Instant.now();
      return Completion.newBuilder()
          .setRequestId(identity.id())
          .setJobId(job.id())
          .setFinishReason(FinishReason.ERROR)
          .setError(reason)
          .setPromptedAt(now)
          .setEmittedAt(now)
          .build();
    }
  }
}
