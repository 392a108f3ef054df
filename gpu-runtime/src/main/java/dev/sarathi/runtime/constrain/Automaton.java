package dev.sarathi.runtime.constrain;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Reads a grammar byte by byte. A state is the set of stacks that the bytes so far can have led to;
 * a stack says, from the innermost part of the grammar to the outermost, what is still to come.
 * States and the steps between them are made when they are first needed and kept, and so are the
 * tokens that may follow in a state.
 *
 * <p>For the end to come in time, every state knows a number of tokens that suffices to end from
 * there: what {@link Node#cost()} says of the rest of its cheapest stack. The token that begins
 * that rest leads to a state with a cost lower by one, so a generation that begins within its limit
 * never leaves it.
 *
 * <p>What it keeps is bounded: beyond that all is forgotten and made anew, which changes {@link
 * #generation()} and nothing else.
 *
 * <p>Threading: any thread.
 */
public final class Automaton {
  /** Below so many rules within one another, only the cheapest way out is left. */
  static final int MAX_DEPTH = 64;

  /** Of more stacks side by side the cheapest are kept. */
  static final int MAX_STACKS = 256;

  private static final int MAX_STATES = 4_096;

  /** Bytes of token masks that are kept. */
  private static final long MAX_MASK_BYTES = 8 << 20;

  /** New stacks that the tokens of one state may need, before it counts as too complex. */
  private static final long MAX_WORK = 4_000_000;

  private final Vocabulary vocabulary;
  private final Grammar grammar;
  private final long[] none;
  private final Map<Frame, Frame> frames = new HashMap<>();
  private final Map<StateKey, State> states = new HashMap<>();
  private State start;
  private long maskBytes;
  private long work;
  private long generation;

  /**
   * A part of the grammar of which some is still to come, and what comes behind it.
   *
   * @param at how many bytes of a text, parts of a series or rounds of a repetition are behind
   * @param below what comes behind; null for nothing
   * @param depth how many rules it lies within
   * @param cost so many tokens suffice for it and all behind it
   */
  private record Frame(Node node, int at, Frame below, int depth, int cost) {

    /** Frames below are interned: a comparison of all of them would take their number. */
    @Override
    public boolean equals(final Object other) {
      return other instanceof Frame frame
          && node == frame.node
          && at == frame.at
          && below == frame.below
          && depth == frame.depth;
    }

    @Override
    public int hashCode() {
      return 31 * (31 * (31 * System.identityHashCode(node) + at) + System.identityHashCode(below))
          + depth;
    }
  }

  private record StateKey(List<Frame> stacks, boolean accepts) {}

  /** Where some bytes have led. */
  static final class State {
    private final List<Frame> stacks;
    private final boolean accepts;
    private final int cost;
    private State[] next;
    private Mask mask;

    private State(final List<Frame> stacks, final boolean accepts) {
      this.stacks = stacks;
      this.accepts = accepts;
      this.cost = accepts ? 0 : stacks.stream().mapToInt(Frame::cost).min().orElse(Node.NEVER);
    }

    /** Whether the text may end here. */
    boolean accepts() {
      return accepts;
    }

    /** Whether nothing may follow. */
    boolean isEnd() {
      return stacks.isEmpty();
    }

    /** Whether no text of the grammar begins like this. */
    boolean isDead() {
      return cost >= Node.NEVER;
    }

    /** So many tokens suffice to end. */
    int cost() {
      return cost;
    }
  }

  /**
   * Tokens by what the state behind them costs: {@code allowed[i]} are those of costs[i] or less.
   */
  private record Mask(int[] costs, long[][] allowed) {
    long[] upTo(final int cost, final long[] none) {
      int last = costs.length - 1;
      while (last >= 0 && costs[last] > cost) {
        last--;
      }
      return last < 0 ? none : allowed[last];
    }
  }

  public Automaton(final Grammar grammar, final Vocabulary vocabulary) {
    this.grammar = grammar;
    this.vocabulary = vocabulary;
    this.none = new long[(vocabulary.size() + 63) / 64];
    forget();
  }

  private void forget() {
    frames.clear();
    states.clear();
    maskBytes = 0;
    generation++;
    final Closure closure = new Closure();
    closure.push(grammar.root(), null, 0);
    start = closure.state();
  }

  Vocabulary vocabulary() {
    return vocabulary;
  }

  /** States of another generation must not be handed in: those with the same meaning differ. */
  synchronized long generation() {
    if (states.size() > MAX_STATES || maskBytes > MAX_MASK_BYTES) {
      forget();
    }
    return generation;
  }

  synchronized State start() {
    return start;
  }

  /** Where a token leads. */
  synchronized State behind(final State state, final int token) {
    State now = state;
    for (final byte b : vocabulary.bytes(token)) {
      now = next(now, b & 0xff);
    }
    return now;
  }

  /** The tokens behind which at most so many suffice to end. */
  synchronized long[] allowed(final State state, final int cost) {
    if (state.mask == null) {
      final State same = leastCounted(state);
      if (same.mask == null) {
        same.mask = maskOf(same);
      }
      state.mask = same.mask;
    }
    return state.mask.upTo(cost, none);
  }

  /**
   * The state with the same mask whose repetitions have had as few rounds as possible. No token has
   * bytes enough to reach a maximum that is farther away than its length, so that the places of a
   * long string share one mask.
   */
  private State leastCounted(final State state) {
    final List<Frame> stacks = state.stacks.stream().map(this::leastCounted).toList();
    return stacks.equals(state.stacks)
        ? state
        : states.computeIfAbsent(
            new StateKey(stacks, state.accepts), key -> new State(key.stacks, key.accepts));
  }

  private Frame leastCounted(final Frame frame) {
    if (frame == null) {
      return null;
    }
    final Frame below = leastCounted(frame.below);
    int at = frame.at;
    if (frame.node instanceof final Node.Repeat repeat
        && at >= repeat.min()
        && repeat.max() - at > vocabulary.longest()) {
      at = repeat.min();
    }
    return at == frame.at && below == frame.below
        ? frame
        : interned(new Frame(frame.node, at, below, frame.depth, frame.cost));
  }

  private Frame interned(final Frame frame) {
    final Frame known = frames.putIfAbsent(frame, frame);
    return known == null ? frame : known;
  }

  private Mask maskOf(final State state) {
    final Map<Integer, long[]> byCost = new TreeMap<>();
    final State[] path = new State[vocabulary.longest() + 1];
    path[0] = state;
    int lastCost = -1;
    long[] last = none;
    work = 0;
    final int nodes = vocabulary.nodes();
    for (int node = 0; node < nodes; ) {
      final int depth = vocabulary.depth(node);
      final State behind = next(path[depth - 1], vocabulary.label(node));
      if (behind.isDead()) {
        node = vocabulary.end(node);
        continue;
      }
      if (work > MAX_WORK) {
        return new Mask(new int[0], new long[0][]);
      }
      path[depth] = behind;
      final int end = vocabulary.firstToken(node + 1);
      for (int i = vocabulary.firstToken(node); i < end; i++) {
        if (behind.cost != lastCost) {
          lastCost = behind.cost;
          last = byCost.computeIfAbsent(lastCost, _ -> new long[none.length]);
        }
        final int token = vocabulary.token(i);
        last[token >> 6] |= 1L << token;
      }
      node++;
    }
    final int[] costs = byCost.keySet().stream().mapToInt(Integer::intValue).toArray();
    final long[][] allowed = byCost.values().toArray(long[][]::new);
    for (int i = 1; i < allowed.length; i++) {
      for (int word = 0; word < none.length; word++) {
        allowed[i][word] |= allowed[i - 1][word];
      }
    }
    maskBytes += 8L * none.length * allowed.length;
    return new Mask(costs, allowed);
  }

  private State next(final State state, final int value) {
    if (state.next == null) {
      state.next = new State[256];
    }
    State next = state.next[value];
    if (next == null) {
      final Closure closure = new Closure();
      for (final Frame top : state.stacks) {
        closure.step(top, value);
      }
      next = closure.state();
      state.next[value] = next;
    }
    return next;
  }

  /** Gathers the stacks of a state, each with a text or a byte on top. */
  private final class Closure {
    private final List<Frame> stacks = new ArrayList<>();
    private final Set<Frame> seen = new HashSet<>();
    private boolean accepts;

    void step(final Frame top, final int value) {
      work++;
      if (top.node instanceof final Node.Text text) {
        if (text.byteAt(top.at) == value) {
          if (top.at + 1 < text.length()) {
            add(text, top.at + 1, top.below, top.depth);
          } else {
            resume(top.below);
          }
        }
      } else if (((Node.OneByte) top.node).has(value)) {
        resume(top.below);
      }
    }

    private void add(final Node node, final int at, final Frame below, final int depth) {
      final Frame frame = frame(node, at, below, depth);
      if (frame.cost < Node.NEVER && seen.add(frame)) {
        stacks.add(frame);
      }
    }

    /** What must be read next for {@code node}, with {@code below} behind it. */
    void push(final Node node, final Frame below, final int depth) {
      work++;
      switch (node) {
        case Node.Text _, Node.OneByte _ -> add(node, 0, below, depth);
        case final Node.Series series -> proceed(series, 0, below, depth);
        case final Node.Repeat repeat -> again(repeat, 0, below, depth);
        case final Node.Rule rule -> {
          if (isNew(node, below, depth)) {
            push(rule.body(), below, depth + 1);
          }
        }
        case final Node.Either either -> {
          if (depth >= MAX_DEPTH) {
            push(either.cheapest(), below, depth);
          } else if (isNew(node, below, depth)) {
            for (final Node part : either.parts()) {
              push(part, below, depth);
            }
          }
        }
      }
    }

    /** Shared parts could otherwise be met along as many ways as a power of two. */
    private boolean isNew(final Node node, final Frame below, final int depth) {
      return node.cost() < Node.NEVER && seen.add(frame(node, 0, below, depth));
    }

    private void proceed(
        final Node.Series series, final int at, final Frame below, final int depth) {
      final List<Node> parts = series.parts();
      if (at == parts.size()) {
        resume(below);
      } else if (at == parts.size() - 1) {
        push(parts.get(at), below, depth);
      } else {
        push(parts.get(at), frame(series, at + 1, below, depth), depth);
      }
    }

    private void again(
        final Node.Repeat repeat, final int rounds, final Frame below, final int depth) {
      if (rounds < repeat.min() || rounds < repeat.max() && depth < MAX_DEPTH) {
        final int next =
            repeat.max() == Node.UNBOUNDED ? Math.min(rounds + 1, repeat.min()) : rounds + 1;
        push(repeat.item(), frame(repeat, next, below, depth), depth);
      }
      if (rounds >= repeat.min()) {
        resume(below);
      }
    }

    private void resume(final Frame frame) {
      if (frame == null) {
        accepts = true;
        return;
      }
      if (frame.node instanceof final Node.Series series) {
        proceed(series, frame.at, frame.below, frame.depth);
      } else {
        again((Node.Repeat) frame.node, frame.at, frame.below, frame.depth);
      }
    }

    private Frame frame(final Node node, final int at, final Frame below, final int depth) {
      final int cost = Node.sum(node.costFrom(at), below == null ? 0 : below.cost);
      return interned(new Frame(node, at, below, depth, cost));
    }

    State state() {
      List<Frame> kept = stacks;
      if (kept.size() > MAX_STACKS) {
        kept = new ArrayList<>(stacks);
        kept.sort(Comparator.comparingInt(Frame::cost));
        kept = kept.subList(0, MAX_STACKS);
      }
      return states.computeIfAbsent(
          new StateKey(List.copyOf(kept), accepts), key -> new State(key.stacks, key.accepts));
    }
  }
}
