package dev.sarathi.runtime.constrain;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A part of a grammar over bytes. Its cost is the number of tokens that suffice to write it: those
 * of the cheapest way, none of them across the border of two texts.
 *
 * <p>Written by {@link Grammar} alone, before anybody else reads it.
 */
abstract sealed class Node {
  /** The cost of what cannot be written; a sum of two is no overflow. */
  static final int NEVER = 1 << 28;

  static final int UNBOUNDED = Integer.MAX_VALUE;

  static final Node EMPTY = new Series(List.of());

  private int cost = NEVER;

  final int cost() {
    return cost;
  }

  /** Computes the cost from those of its parts; true if it has fallen. */
  final boolean price(final Vocabulary vocabulary) {
    final int now = Math.min(NEVER, priceOf(vocabulary));
    final boolean fallen = now < cost;
    cost = now;
    return fallen;
  }

  abstract int priceOf(Vocabulary vocabulary);

  /** What costs the rest of it has from a place on, see {@link Automaton}. */
  abstract int costFrom(int at);

  List<Node> parts() {
    return List.of();
  }

  static int sum(final int one, final int other) {
    return Math.min(NEVER, one + other);
  }

  static Node text(final String text) {
    return text(text.getBytes(java.nio.charset.StandardCharsets.UTF_8));
  }

  static Node text(final byte[] text) {
    return text.length == 0 ? EMPTY : new Text(text);
  }

  static Node bytes(final ByteSet set) {
    return new OneByte(set);
  }

  static Node series(final Node... parts) {
    return parts.length == 1 ? parts[0] : new Series(Arrays.asList(parts));
  }

  static Node either(final List<Node> alternatives) {
    return alternatives.size() == 1 ? alternatives.getFirst() : new Either(alternatives);
  }

  static Node either(final Node... alternatives) {
    return either(Arrays.asList(alternatives));
  }

  static Node optional(final Node node) {
    return either(node, EMPTY);
  }

  /** So many of the same. A part must not be empty. */
  static Node repeat(final Node item, final int min, final int max) {
    return new Repeat(item, min, max);
  }

  /** These bytes, one after the other. */
  static final class Text extends Node {
    private final byte[] bytes;
    private int[] costs = {};

    private Text(final byte[] bytes) {
      this.bytes = bytes;
    }

    int length() {
      return bytes.length;
    }

    int byteAt(final int at) {
      return bytes[at] & 0xff;
    }

    @Override
    int priceOf(final Vocabulary vocabulary) {
      if (costs.length == 0) {
        costs = vocabulary.fewestTokens(bytes);
      }
      return costs[0];
    }

    @Override
    int costFrom(final int at) {
      return costs[at];
    }
  }

  /** One byte of a set. */
  static final class OneByte extends Node {
    private final ByteSet set;

    private OneByte(final ByteSet set) {
      this.set = set;
    }

    boolean has(final int value) {
      return set.has(value);
    }

    @Override
    int priceOf(final Vocabulary vocabulary) {
      return cost() < NEVER || vocabulary.hasByte(set) ? 1 : NEVER;
    }

    @Override
    int costFrom(final int at) {
      return cost();
    }
  }

  /** All parts, one after the other. */
  static final class Series extends Node {
    private final List<Node> parts;
    private final int[] costs;

    private Series(final List<Node> parts) {
      this.parts = List.copyOf(parts);
      this.costs = new int[parts.size() + 1];
    }

    @Override
    List<Node> parts() {
      return parts;
    }

    @Override
    int priceOf(final Vocabulary vocabulary) {
      for (int i = parts.size() - 1; i >= 0; i--) {
        costs[i] = sum(parts.get(i).cost(), costs[i + 1]);
      }
      return costs[0];
    }

    @Override
    int costFrom(final int at) {
      return costs[at];
    }
  }

  /** One of the parts. */
  static final class Either extends Node {
    private final List<Node> parts;

    private Either(final List<Node> parts) {
      this.parts = List.copyOf(parts);
    }

    @Override
    List<Node> parts() {
      return parts;
    }

    /** The part that costs least; the first of several. */
    Node cheapest() {
      Node cheapest = parts.getFirst();
      for (final Node part : parts) {
        if (part.cost() < cheapest.cost()) {
          cheapest = part;
        }
      }
      return cheapest;
    }

    @Override
    int priceOf(final Vocabulary vocabulary) {
      return cheapest().cost();
    }

    @Override
    int costFrom(final int at) {
      return cost();
    }
  }

  /** A part again and again. */
  static final class Repeat extends Node {
    private final Node item;
    private final int min;
    private final int max;

    private Repeat(final Node item, final int min, final int max) {
      this.item = item;
      this.min = min;
      this.max = max;
    }

    Node item() {
      return item;
    }

    int min() {
      return min;
    }

    int max() {
      return max;
    }

    @Override
    List<Node> parts() {
      return List.of(item);
    }

    @Override
    int priceOf(final Vocabulary vocabulary) {
      return costFrom(0);
    }

    @Override
    int costFrom(final int at) {
      return (int) Math.min(NEVER, (long) Math.max(0, min - at) * item.cost());
    }
  }

  /** A part that may be named before it is known, and so may hold itself. */
  static final class Rule extends Node {
    private final List<Node> body = new ArrayList<>();

    void define(final Node node) {
      body.add(node);
    }

    Node body() {
      return body.getFirst();
    }

    @Override
    List<Node> parts() {
      return body;
    }

    @Override
    int priceOf(final Vocabulary vocabulary) {
      return body().cost();
    }

    @Override
    int costFrom(final int at) {
      return cost();
    }
  }
}
