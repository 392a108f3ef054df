package dev.sarathi.runtime.constrain;

import java.util.Arrays;
import java.util.Comparator;
import java.util.Optional;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/**
 * The bytes of a model's tokens, as a trie in the order of a walk: a node, then the nodes below it.
 * Tokens with equal bytes are at one node.
 *
 * <p>Immutable, but for the arrays, which nobody writes.
 */
public final class Vocabulary {
  private final int size;
  private final byte[][] bytes;
  private final int longest;

  // By node: the byte that leads to it, the node behind its last descendant, how deep it lies, and
  // where its tokens begin among all.
  private final byte[] labels;
  private final int[] ends;
  private final int[] depths;
  private final int[] firstTokens;
  private final int[] tokens;
  private int nodes;

  private Vocabulary(final int size, final IntFunction<Optional<byte[]>> bytesOf) {
    this.size = size;
    bytes = new byte[size][];
    for (int id = 0; id < size; id++) {
      bytes[id] = bytesOf.apply(id).filter(b -> b.length > 0).orElse(null);
    }
    tokens =
        IntStream.range(0, size)
            .filter(id -> bytes[id] != null)
            .boxed()
            .sorted(Comparator.comparing(id -> bytes[id], Arrays::compareUnsigned))
            .mapToInt(Integer::intValue)
            .toArray();
    longest = Arrays.stream(tokens).map(id -> bytes[id].length).max().orElse(0);
    final int most = Arrays.stream(tokens).map(id -> bytes[id].length).sum();
    labels = new byte[most];
    ends = new int[most];
    depths = new int[most];
    firstTokens = new int[most + 1];
    build();
  }

  /**
   * @param size how many token ids there are
   * @param bytesOf what a token stands for; absent for one that is no text
   */
  public static Vocabulary of(final int size, final IntFunction<Optional<byte[]>> bytesOf) {
    return new Vocabulary(size, bytesOf);
  }

  private void build() {
    final int[] path = new int[longest + 1];
    byte[] before = {};
    for (int i = 0; i < tokens.length; i++) {
      final byte[] token = bytes[tokens[i]];
      final int mismatch = Arrays.mismatch(before, token);
      final int shared = mismatch < 0 ? token.length : mismatch;
      for (int depth = before.length; depth > shared; depth--) {
        ends[path[depth]] = nodes;
      }
      for (int depth = shared + 1; depth <= token.length; depth++) {
        labels[nodes] = token[depth - 1];
        depths[nodes] = depth;
        firstTokens[nodes] = i;
        path[depth] = nodes++;
      }
      before = token;
    }
    for (int depth = before.length; depth > 0; depth--) {
      ends[path[depth]] = nodes;
    }
    firstTokens[nodes] = tokens.length;
  }

  /** How many token ids there are, those without text included. */
  int size() {
    return size;
  }

  /** Whether the token stands for text. */
  public boolean hasText(final int token) {
    return bytes[token] != null;
  }

  byte[] bytes(final int token) {
    return bytes[token];
  }

  int longest() {
    return longest;
  }

  int nodes() {
    return nodes;
  }

  int label(final int node) {
    return labels[node] & 0xff;
  }

  int depth(final int node) {
    return depths[node];
  }

  /** The node behind the last one below this one. */
  int end(final int node) {
    return ends[node];
  }

  /** Where the tokens of a node begin; they end where those of the next node begin. */
  int firstToken(final int node) {
    return firstTokens[node];
  }

  int token(final int index) {
    return tokens[index];
  }

  boolean hasTokens(final int node) {
    return firstTokens[node] < firstTokens[node + 1];
  }

  /** Whether one of these bytes is a token by itself. */
  boolean hasByte(final ByteSet set) {
    for (int node = 0; node < nodes; node = ends[node]) {
      if (hasTokens(node) && set.has(label(node))) {
        return true;
      }
    }
    return false;
  }

  /**
   * The fewest tokens that write a text from each of its bytes on, each token within the text;
   * {@link Node#NEVER} where there are none.
   */
  int[] fewestTokens(final byte[] text) {
    final int[] fewest = new int[text.length + 1];
    for (int from = text.length - 1; from >= 0; from--) {
      fewest[from] = Node.NEVER;
      int at = from;
      int node = 0;
      int end = nodes;
      while (at < text.length && node < end) {
        if (labels[node] != text[at]) {
          node = ends[node];
          continue;
        }
        at++;
        if (hasTokens(node)) {
          fewest[from] = Math.min(fewest[from], fewest[at] + 1);
        }
        end = ends[node];
        node++;
      }
    }
    return fewest;
  }
}
