package dev.sarathi.runtime.execute.cuda;

import dev.sarathi.runtime.execute.Readout;
import dev.sarathi.runtime.execute.Sampler;
import dev.sarathi.runtime.schedule.SamplingPlan;
import dev.sarathi.runtime.schedule.SamplingRule;
import dev.sarathi.runtime.schedule.Slice;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * What the kernels need to know of a batch, as one array of integers that travels to the device in
 * one copy; the names are offsets into it.
 *
 * <p>Batches of decodes alone come again and again. They are filled up to one of few {@link
 * Shape}s, by rows that are stored nowhere and items without queries, so that their launches can be
 * captured: for one shape, all offsets and numbers of rows and items are the same.
 *
 * <p>Attention is cut into items. A prefill chunk's take 64 queries each and walk all their keys. A
 * decode's take 16, and where keys are many and there is room, one item walks one span of keys
 * each, so that a single long sequence keeps the whole device busy.
 */
final class BatchPlan {
  static final int BLOCK_TOKENS = 16;
  static final int FEW_QUERIES = 16;
  private static final int MANY_QUERIES = 64;
  private static final int SPAN = 256;
  private static final int WALKS_ALL = -1;

  /** As in attention.cuh. */
  private record Item(
      int row,
      int position,
      int count,
      int first,
      int firstSpan,
      int endSpan,
      int partial,
      int blocks) {}

  private static final Item NOTHING = new Item(0, 0, 0, 0, 0, 0, WALKS_ALL, 0);

  /** A slot that is none. */
  private static final int NOWHERE = -1;

  /** Of a row's draw. */
  static final long DRAW_BYTES = 8 * Integer.BYTES;

  /** The coldness of rows from which the device does not draw. */
  private static final float NOT_DRAWN = -1;

  /** Rows beyond which shapes are no longer powers of two, but multiples of this. */
  private static final int ROWS_STEP = 64;

  /** What the launches of a batch depend on, beside what lies in device memory. */
  record Shape(int rows, int fewItems, int splitItems) {}

  private final Heads heads;
  private final int maxRows;
  private final int maxPartials;
  private final boolean shaped;
  private final List<Item> fewList = new ArrayList<>();
  private final List<Item> manyList = new ArrayList<>();
  private final List<Item> splitList = new ArrayList<>();
  private int partials;

  private int[] values = new int[1024];
  private int length;
  private Optional<Shape> shape = Optional.empty();
  private int rows;
  private int fewItems;
  private int splitItems;
  private int positions;
  private int slots;
  private int few;
  private int many;
  private int split;
  private int table;
  private int selected;
  private int draws;

  /**
   * @param maxRows of a batch
   * @param maxPartials spans of split items for which there is room
   * @param shaped whether batches of decodes are filled up
   */
  BatchPlan(final Heads heads, final int maxRows, final int maxPartials, final boolean shaped) {
    this.heads = heads;
    this.maxRows = maxRows;
    this.maxPartials = maxPartials;
    this.shaped = shaped;
  }

  /** Plans a batch; the first of {@code tokens} are its rows'. */
  void plan(final List<Slice> slices, final int[] tokens, final Readout readout) {
    items(slices);
    final int used = slices.stream().mapToInt(Slice::count).sum();
    shape = shaped && used == slices.size() ? Optional.of(shape(used)) : Optional.empty();
    rows = shape.map(Shape::rows).orElse(used);
    fewItems = shape.map(Shape::fewItems).orElse(fewList.size());
    splitItems = shape.map(Shape::splitItems).orElse(splitList.size());
    length = 0;
    for (int row = 0; row < used; row++) {
      append(tokens[row]);
    }
    fill(rows, 0);
    positions = length;
    for (final Slice slice : slices) {
      for (int position = slice.start(); position < slice.end(); position++) {
        append(position);
      }
    }
    fill(positions + rows, 0);
    slots = length;
    for (final Slice slice : slices) {
      for (int position = slice.start(); position < slice.end(); position++) {
        append(slice.blocks()[position / BLOCK_TOKENS] * BLOCK_TOKENS + position % BLOCK_TOKENS);
      }
    }
    fill(slots + rows, NOWHERE);
    few = items(fewList, fewItems);
    many = items(manyList, manyList.size());
    split = items(splitList, splitItems);
    // From here on offsets depend on more than the shape.
    table = length;
    for (final Slice slice : slices) {
      for (int i = 0; i < blocks(slice); i++) {
        append(slice.blocks()[i]);
      }
    }
    selected = length;
    for (int i = 0; i < readout.rows(); i++) {
      append(readout.row(i));
    }
    draws = length;
    for (int i = 0; i < readout.rows(); i++) {
      final int end = length + (int) DRAW_BYTES / Integer.BYTES;
      readout.contended(i).ifPresentOrElse(this::append, () -> append(NOT_DRAWN));
      fill(end, 0);
    }
  }

  private Shape shape(final int used) {
    final int shapedRows =
        used > ROWS_STEP ? Math.ceilDiv(used, ROWS_STEP) * ROWS_STEP : powerOfTwo(used);
    final int filled = Math.min(shapedRows, maxRows);
    return new Shape(
        filled,
        powerOfTwo(fewList.size()),
        splitList.isEmpty() ? 0 : filled * Math.ceilDiv(heads.group(), FEW_QUERIES));
  }

  /** The smallest one that is not smaller. */
  private static int powerOfTwo(final int value) {
    return value == 1 ? 1 : 2 * Integer.highestOneBit(value - 1);
  }

  private int items(final List<Item> list, final int count) {
    final int offset = length;
    list.forEach(this::append);
    for (int i = list.size(); i < count; i++) {
      append(NOTHING);
    }
    return offset;
  }

  private void fill(final int end, final int value) {
    while (length < end) {
      append(value);
    }
  }

  private void append(final int value) {
    if (length == values.length) {
      values = Arrays.copyOf(values, 2 * length);
    }
    values[length++] = value;
  }

  private void append(final Item item) {
    append(item.row());
    append(item.position());
    append(item.count());
    append(item.first());
    append(item.firstSpan());
    append(item.endSpan());
    append(item.partial());
    append(item.blocks());
  }

  /** As in sampling.cuh. */
  private void append(final SamplingPlan plan) {
    final SamplingRule rule = plan.rule();
    append(rule.temperature() == 0 ? 0 : 1 / rule.temperature());
    append((float) Sampler.leastWeight(rule));
    append(rule.topP());
    append(rule.topK());
    append((int) rule.seed());
    append((int) (rule.seed() >>> 32));
    append(plan.outputIndex());
    append(rule.choice());
  }

  private void append(final float value) {
    append(Float.floatToRawIntBits(value));
  }

  private static int blocks(final Slice slice) {
    return Math.ceilDiv(slice.end(), BLOCK_TOKENS);
  }

  private void items(final List<Slice> slices) {
    fewList.clear();
    manyList.clear();
    splitList.clear();
    partials = 0;
    int row = 0;
    int blocks = 0;
    for (final Slice slice : slices) {
      final int queries = slice.count() * heads.group();
      final int spans = Math.ceilDiv(slice.end(), SPAN);
      final Item whole =
          new Item(row, slice.start(), slice.count(), 0, 0, spans, WALKS_ALL, blocks);
      if (slice.count() == 1 || queries <= FEW_QUERIES) {
        for (int first = 0; first < queries; first += FEW_QUERIES) {
          addFew(whole, first);
        }
      } else {
        for (int first = 0; first < queries; first += MANY_QUERIES) {
          manyList.add(at(whole, first, 0, spans, WALKS_ALL));
        }
      }
      row += slice.count();
      blocks += blocks(slice);
    }
  }

  private void addFew(final Item whole, final int first) {
    final int spans = whole.endSpan();
    if (spans == 1 || partials + spans > maxPartials) {
      fewList.add(at(whole, first, 0, spans, WALKS_ALL));
      return;
    }
    splitList.add(at(whole, first, 0, spans, partials));
    for (int span = 0; span < spans; span++) {
      fewList.add(at(whole, first, span, span + 1, partials++));
    }
  }

  private static Item at(
      final Item whole,
      final int first,
      final int firstSpan,
      final int endSpan,
      final int partial) {
    return new Item(
        whole.row(),
        whole.position(),
        whole.count(),
        first,
        firstSpan,
        endSpan,
        partial,
        whole.blocks());
  }

  /** The plan; only the first {@link #length()} are of this batch. */
  int[] values() {
    return values;
  }

  int length() {
    return length;
  }

  /** Of a batch of decodes alone. */
  Optional<Shape> shape() {
    return shape;
  }

  /** Those of the slices, and those that fill the batch up. */
  int rows() {
    return rows;
  }

  int positions() {
    return positions;
  }

  int slots() {
    return slots;
  }

  /** The rows whose logits are needed. */
  int selected() {
    return selected;
  }

  /** How each of those is drawn from. */
  int draws() {
    return draws;
  }

  int table() {
    return table;
  }

  int few() {
    return few;
  }

  int fewItems() {
    return fewItems;
  }

  int many() {
    return many;
  }

  int manyItems() {
    return manyList.size();
  }

  int split() {
    return split;
  }

  int splitItems() {
    return splitItems;
  }
}
