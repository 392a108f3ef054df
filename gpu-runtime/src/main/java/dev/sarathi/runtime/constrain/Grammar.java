package dev.sarathi.runtime.constrain;

import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;

/**
 * What texts are allowed, and at what cost in tokens of a vocabulary each part of them can be
 * written.
 */
public final class Grammar {
  /** The most texts of a choice. */
  public static final int MAX_TEXTS = 4_096;

  /** The most bytes of all texts of a choice together. */
  public static final int MAX_TEXT_BYTES = 1 << 18;

  /** So many alternatives are followed side by side; beyond, they share their beginnings. */
  private static final int SIDE_BY_SIDE = 64;

  private final Node root;

  private Grammar(final Node root, final Vocabulary vocabulary) {
    this.root = root;
    final List<Node> partsFirst = partsFirst(root);
    boolean fallen = true;
    while (fallen) {
      fallen = false;
      for (final Node node : partsFirst) {
        fallen |= node.price(vocabulary);
      }
    }
    if (root.cost() >= Node.NEVER) {
      throw new ConstraintException("cannot be written with the tokens of this model");
    }
  }

  /** All nodes, each behind its parts but where it holds itself. Nesting may be deep. */
  private static List<Node> partsFirst(final Node root) {
    final Set<Node> found = Collections.newSetFromMap(new IdentityHashMap<>());
    final Deque<Node> open = new ArrayDeque<>(List.of(root));
    final List<Node> order = new ArrayList<>();
    while (!open.isEmpty()) {
      final Node node = open.pop();
      if (found.add(node)) {
        order.add(node);
        node.parts().forEach(open::push);
      }
    }
    return order.reversed();
  }

  /**
   * One of some texts.
   *
   * @throws ConstraintException if there is none, one is empty, or there are too many
   */
  public static Grammar oneOf(final List<String> texts, final Vocabulary vocabulary) {
    if (texts.isEmpty()) {
      throw new ConstraintException("one_of holds no text; at least 1 is needed");
    }
    if (texts.size() > MAX_TEXTS) {
      throw new ConstraintException(
          "one_of holds %d texts; at most %d are supported".formatted(texts.size(), MAX_TEXTS));
    }
    if (texts.contains("")) {
      throw new ConstraintException("one_of holds an empty text; each needs at least 1 character");
    }
    final long bytes =
        texts.stream().mapToLong(t -> t.getBytes(StandardCharsets.UTF_8).length).sum();
    if (bytes > MAX_TEXT_BYTES) {
      throw new ConstraintException(
          "one_of holds %d bytes of text; at most %d are supported"
              .formatted(bytes, MAX_TEXT_BYTES));
    }
    return new Grammar(texts(texts), vocabulary);
  }

  /**
   * A document that is valid by a JSON schema, without white space.
   *
   * @throws ConstraintException if the schema is none, or asks for what is not supported
   */
  public static Grammar jsonSchema(final String schema, final Vocabulary vocabulary) {
    return new Grammar(new SchemaReader(schema).read(), vocabulary);
  }

  Node root() {
    return root;
  }

  /** So many tokens suffice to write the shortest of the texts. */
  public int fewestTokens() {
    return root.cost();
  }

  /** One of some texts, none of them empty. */
  static Node texts(final List<String> texts) {
    final List<byte[]> sorted =
        texts.stream()
            .map(text -> text.getBytes(StandardCharsets.UTF_8))
            .sorted(Arrays::compareUnsigned)
            .toList();
    final List<byte[]> distinct = new ArrayList<>();
    for (final byte[] text : sorted) {
      if (distinct.isEmpty() || !Arrays.equals(distinct.getLast(), text)) {
        distinct.add(text);
      }
    }
    return distinct.size() <= SIDE_BY_SIDE
        ? Node.either(distinct.stream().map(Node::text).toList())
        : sharingBeginnings(distinct, 0);
  }

  /** Texts in order, from a byte on before which they are equal. */
  private static Node sharingBeginnings(final List<byte[]> texts, final int from) {
    final byte[] first = texts.getFirst();
    final byte[] last = texts.getLast();
    if (texts.size() == 1) {
      return Node.text(Arrays.copyOfRange(first, from, first.length));
    }
    final int mismatch = Arrays.mismatch(first, last);
    final int shared = mismatch < 0 ? first.length : mismatch;
    final List<Node> rests = new ArrayList<>();
    int start = 0;
    if (first.length == shared) {
      rests.add(Node.EMPTY);
      start = 1;
    }
    while (start < texts.size()) {
      int end = start + 1;
      while (end < texts.size() && texts.get(end)[shared] == texts.get(start)[shared]) {
        end++;
      }
      // At least a byte further in each step, or there would be no end.
      final Node head = Node.text(new byte[] {texts.get(start)[shared]});
      final List<byte[]> group = texts.subList(start, end);
      rests.add(
          group.size() == 1
              ? sharingBeginnings(group, shared)
              : Node.series(head, sharingBeginnings(group, shared + 1)));
      start = end;
    }
    final Node rest = Node.either(rests);
    return shared == from
        ? rest
        : Node.series(Node.text(Arrays.copyOfRange(first, from, shared)), rest);
  }
}
