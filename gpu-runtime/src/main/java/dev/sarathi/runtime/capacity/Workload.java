package dev.sarathi.runtime.capacity;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Requests in order of arrival.
 *
 * @param contextLength the most tokens of one request, prompt and output
 */
public record Workload(String name, int contextLength, List<Request> requests) {
  private static final Map<String, Integer> BUNDLED =
      Map.of("openchat_sharegpt4", 8_192, "arxiv_summarization", 16_384);

  /** Names that other tools give to the columns. */
  private static final List<String> PROMPT = List.of("prompt", "num_prefill_tokens");

  private static final List<String> OUTPUT = List.of("output", "num_decode_tokens");
  private static final List<String> GAP = List.of("unit_gap");

  /**
   * @param gap since the request before, at a rate of one in a unit of time
   * @param prompt tokens
   * @param output tokens
   */
  public record Request(double gap, int prompt, int output) {}

  public Workload {
    requests = List.copyOf(requests);
  }

  /**
   * A workload that comes with the project, or a CSV file with the columns {@code prompt} and
   * {@code output}, in tokens, and perhaps {@code unit_gap}.
   *
   * @throws IllegalArgumentException naming the file and the line that is no request
   */
  public static Workload named(final String name) throws IOException {
    if (BUNDLED.containsKey(name)) {
      try (BufferedReader lines =
          new BufferedReader(
              new InputStreamReader(
                  Workload.class.getResourceAsStream(name + ".csv"), StandardCharsets.UTF_8))) {
        return new Workload(name, BUNDLED.get(name), read(name, lines));
      }
    }
    final Path file = Path.of(name);
    if (!Files.isReadable(file)) {
      throw new IllegalArgumentException(
          "trace is %s; valid is %s or a CSV file".formatted(name, bundled()));
    }
    try (BufferedReader lines = Files.newBufferedReader(file)) {
      final List<Request> requests = read(name, lines);
      final int longest = requests.stream().mapToInt(r -> r.prompt + r.output).max().orElse(1);
      return new Workload(
          file.getFileName().toString(), Math.ceilDiv(longest, 1_024) * 1_024, requests);
    }
  }

  /** The names of the workloads that come with the project, as one text. */
  public static String bundled() {
    return String.join(", ", BUNDLED.keySet().stream().sorted().toList());
  }

  private static List<Request> read(final String name, final BufferedReader lines)
      throws IOException {
    final String first = lines.readLine();
    final List<String> header = first == null ? List.of() : List.of(first.strip().split(","));
    final int prompt = column(header, PROMPT);
    final int output = column(header, OUTPUT);
    final int gap = column(header, GAP);
    if (prompt < 0 || output < 0) {
      throw new IllegalArgumentException(
          "%s: the columns are %s; needed are %s and %s"
              .formatted(name, header, PROMPT.getFirst(), OUTPUT.getFirst()));
    }
    final List<Request> requests = new ArrayList<>();
    String line = lines.readLine();
    for (int number = 2; line != null; number++) {
      try {
        final String[] cells = line.split(",");
        requests.add(
            new Request(
                gap < 0 ? Double.NaN : Double.parseDouble(cells[gap]),
                tokens(cells[prompt]),
                tokens(cells[output])));
      } catch (final NumberFormatException | ArrayIndexOutOfBoundsException e) {
        throw new IllegalArgumentException(
            "%s: line %d is no request: %s".formatted(name, number, line), e);
      }
      line = lines.readLine();
    }
    if (requests.isEmpty()) {
      throw new IllegalArgumentException(name + " has no requests");
    }
    return gap < 0 ? arriving(requests, Arrivals.POISSON) : requests;
  }

  private static int column(final List<String> header, final List<String> names) {
    return names.stream().mapToInt(header::indexOf).max().orElse(-1);
  }

  /** Lengths are whole numbers, but some tools write them with a fraction of zero. */
  private static int tokens(final String cell) {
    final double value = Double.parseDouble(cell);
    if (!(value >= 1) || value > 1_000_000 || value != Math.rint(value)) {
      throw new NumberFormatException(cell);
    }
    return (int) value;
  }

  private static List<Request> arriving(final List<Request> requests, final Arrivals arrivals) {
    final double[] gaps = arrivals.gaps(requests.size());
    final List<Request> arriving = new ArrayList<>(gaps.length);
    for (int i = 0; i < gaps.length; i++) {
      final Request request = requests.get(i);
      arriving.add(new Request(gaps[i], request.prompt, request.output));
    }
    return arriving;
  }

  /** The same requests with other gaps. */
  public Workload arriving(final Arrivals arrivals) {
    return new Workload(name, contextLength, arriving(requests, arrivals));
  }

  /** The first requests of it. */
  public Workload first(final int count) {
    if (count < 1 || count > requests.size()) {
      throw new IllegalArgumentException(
          "%d requests of %s; valid is 1 to %d".formatted(count, name, requests.size()));
    }
    return new Workload(name, contextLength, requests.subList(0, count));
  }

  /** How many TBT samples it gives: one for each token but a request's first. */
  int gapsBetweenTokens() {
    return requests.stream().mapToInt(request -> request.output - 1).sum();
  }
}
