package dev.sarathi.streams;

import dev.sarathi.streams.RequestState.Phase;
import dev.sarathi.streams.internal.RequestView;
import dev.sarathi.streams.internal.StoreNames;
import java.util.List;
import java.util.Optional;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.errors.InvalidStateStoreException;

/**
 * The unfinished requests of one generation node, of the tasks that this instance has.
 *
 * <p>They are read from the stores of running tasks, beside the stream threads and without holding
 * them up. Such a store shows what a thread has written before it is committed: after a crash, the
 * last tokens and requests seen here may be gone for a moment, and come again.
 *
 * <p>Threading: any thread.
 */
public final class RequestQueries {
  /** No more requests than this are looked at for one answer. */
  public static final int MAX_VISITED = 10_000;

  private final KafkaStreams streams;
  private final StoreNames names;

  /**
   * Asks the stores of a node.
   *
   * @param streams the running application
   * @param node the name that the node was given by {@link Generation.Named#as}
   */
  public RequestQueries(final KafkaStreams streams, final String node) {
    this.streams = streams;
    this.names = new StoreNames(node);
  }

  /**
   * Some of the requests.
   *
   * @param requests in the order in which each task serves them
   * @param complete whether these are all that were asked for
   * @param unfinished how many there are, of every phase, as the stores estimate
   */
  public record Page(List<RequestState> requests, boolean complete, long unfinished) {}

  /**
   * Lists requests.
   *
   * @param phase those to list; empty for all
   * @param limit the most to list
   * @return the requests, those of one task together
   * @throws InvalidStateStoreException if the stores cannot be read now, during a rebalance say
   */
  public Page list(final Optional<Phase> phase, final int limit) {
    return new RequestView(streams, names).list(phase, limit, MAX_VISITED);
  }

  /**
   * The request of an id.
   *
   * @param id the id
   * @return the request, if it is unfinished and of a task of this instance
   * @throws InvalidStateStoreException if the stores cannot be read now, during a rebalance say
   */
  public Optional<RequestState> find(final String id) {
    return new RequestView(streams, names).find(id);
  }
}
