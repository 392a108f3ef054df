package dev.sarathi.runtime.execute.simulated;

import java.util.Map;
import java.util.TreeMap;

/**
 * Attention of one layer on an A100, for 32 query and 4 KV heads of 128. Beyond what was measured,
 * time goes on with the measured slopes: linear in the KV length, quadratic in the chunk.
 */
final class AttentionTimes {
  static final int QUERY_SIZE = 32 * 128;
  static final int KV_SIZE = 4 * 128;

  private static final int LONGEST_PREFILL = 4096;

  /** Longer chunks have too few measurements for a slope of their own. */
  private static final int LONGEST_SLOPE = 2048;

  private static final AttentionTimes MEASURED = new AttentionTimes();

  private final TreeMap<Integer, Row> decode = rows("attention-decode.csv", 2048);
  private final TreeMap<Integer, Row> prefill = rows("attention-prefill.csv", 0);
  private final double chunkSlope;
  private final double chunkSquareSlope;

  /**
   * @param slope milliseconds by KV token
   */
  private record Row(Curve curve, long last, double slope) {
    double at(final double kvTokens) {
      return kvTokens <= last ? curve.at(kvTokens) : curve.at(last) + slope * (kvTokens - last);
    }
  }

  private AttentionTimes() {
    // The line and the square through no chunk, half of the longest and the longest.
    final double half = prefill.get(LONGEST_PREFILL / 2).at(0);
    final double whole = prefill.get(LONGEST_PREFILL).at(0);
    chunkSquareSlope = (whole - 2 * half) / (LONGEST_PREFILL * (LONGEST_PREFILL / 2.0));
    chunkSlope = whole / LONGEST_PREFILL - chunkSquareSlope * LONGEST_PREFILL;
  }

  static AttentionTimes measured() {
    return MEASURED;
  }

  private static TreeMap<Integer, Row> rows(final String file, final long slopeFrom) {
    final TreeMap<Integer, Row> rows = new TreeMap<>();
    Measurements.table(file)
        .forEach(
            (size, points) -> {
              final TreeMap<Long, Double> padded = new TreeMap<>(points);
              if (padded.size() == 1) {
                padded.put(1L, padded.firstEntry().getValue());
              }
              rows.put(
                  size,
                  new Row(
                      new Curve(padded), points.lastKey(), slope(points.tailMap(slopeFrom, true))));
            });
    return rows;
  }

  /** Least squares. */
  private static double slope(final Map<Long, Double> points) {
    final double meanSize =
        points.keySet().stream().mapToDouble(Long::doubleValue).average().orElse(0);
    final double meanMillis =
        points.values().stream().mapToDouble(Double::doubleValue).average().orElse(0);
    double products = 0;
    double squares = 0;
    for (final Map.Entry<Long, Double> point : points.entrySet()) {
      products += (point.getKey() - meanSize) * (point.getValue() - meanMillis);
      squares += (point.getKey() - meanSize) * (point.getKey() - meanSize);
    }
    return squares == 0 ? 0 : products / squares;
  }

  /**
   * @param kvTokens of each
   */
  double decode(final int sequences, final int kvTokens) {
    final int measured = Math.min(sequences, decode.lastKey());
    return decode.get(measured).at(kvTokens) * sequences / measured;
  }

  /**
   * @param kvTokens before the chunk
   */
  double prefill(final double chunk, final int kvTokens) {
    if (chunk > LONGEST_PREFILL) {
      return chunk * (chunkSlope + chunkSquareSlope * chunk) + kvTokens * chunk * kvSlope();
    }
    final Integer low = prefill.floorKey((int) chunk);
    if (low == null) {
      return prefill(prefill.firstEntry(), kvTokens);
    }
    final Map.Entry<Integer, Row> high = prefill.ceilingEntry((int) Math.ceil(chunk));
    final double below = prefill(prefill.floorEntry(low), kvTokens);
    if (high.getKey().equals(low)) {
      return below;
    }
    final double above = prefill(high, kvTokens);
    return below + (above - below) * (chunk - low) / (high.getKey() - low);
  }

  private double prefill(final Map.Entry<Integer, Row> chunk, final int kvTokens) {
    final Row row = chunk.getValue();
    if (kvTokens <= row.last || chunk.getKey() <= LONGEST_SLOPE) {
      return row.at(kvTokens);
    }
    return row.at(row.last) + (kvTokens - row.last) * chunk.getKey() * kvSlope();
  }

  /** Milliseconds by token of the chunk and KV token before it. */
  private double kvSlope() {
    return prefill.get(LONGEST_SLOPE).slope / LONGEST_SLOPE;
  }
}
