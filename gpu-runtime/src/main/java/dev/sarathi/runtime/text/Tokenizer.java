package dev.sarathi.runtime.text;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.Collections;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.LongFunction;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/**
 * Text to token ids and back, as Hugging Face's {@code tokenizer.json} of a model describes it.
 *
 * <p>Truncation and padding, which that file may ask for, are off. Of {@code tokenizer_config.json}
 * nothing applies: its {@code clean_up_tokenization_spaces} rewrites text across token boundaries
 * ("a ." becomes "a."), so text given out token by token could not be equal to text decoded at
 * once, and would no longer be the text that the model wrote.
 *
 * <p>Any number of threads may use one instance. Closing waits for the calls in progress; later
 * calls throw {@link IllegalStateException}.
 */
public final class Tokenizer implements AutoCloseable {
  private static final Pattern UNPAIRED_SURROGATE = Pattern.compile("\\p{Cs}");

  private final TokenizersLibrary library;
  private final long handle;
  private final Map<String, Integer> ids;
  private final BitSet text;
  private final TokenBytes bytes;
  private final int size;

  // Held shared by every use, so that closing cannot release what a thread is using.
  private final ReadWriteLock lifetime = new ReentrantReadWriteLock();
  private boolean closed;

  private Tokenizer(final TokenizersLibrary library, final TokenizerFile file) {
    this.library = library;
    this.handle = library.createTokenizerFromString(file.json());
    this.ids = file.ids();
    this.text = file.text();
    this.bytes = file.bytes();
    this.size = Collections.max(ids.values()) + 1;
    library.disableTruncation(handle);
    library.disablePadding(handle);
  }

  /**
   * Opens the tokenizer of a model.
   *
   * @param modelDirectory a directory that holds {@code tokenizer.json}
   * @throws TokenizerException when that file is missing, malformed or of a kind that cannot be
   *     used, or when there is no native library for this platform
   */
  public static Tokenizer open(final Path modelDirectory) {
    final TokenizerFile file = TokenizerFile.read(modelDirectory.resolve("tokenizer.json"));
    final TokenizersLibrary library = NativeTokenizers.library();
    try {
      final Tokenizer tokenizer = new Tokenizer(library, file);
      tokenizer.tryOut();
      return tokenizer;
    } catch (RuntimeException e) {
      throw file.refusal(e.getMessage(), e);
    }
  }

  /** Finds out now whether the special tokens that are added to every text have ids of a token. */
  private void tryOut() {
    try {
      encode("");
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  /** The ids of a text, with the special tokens that the model expects around it. */
  public int[] encode(final String text) {
    return encode(text, true);
  }

  /**
   * The ids of a text. An unpaired surrogate, which is no character, counts as U+FFFD.
   *
   * @param addSpecialTokens whether to add the tokens that the model expects around a text, usually
   *     one for its beginning; a rendered chat template holds them already
   * @throws TokenizerException when the vocabulary has no token for a part of the text
   */
  public int[] encode(final String text, final boolean addSpecialTokens) {
    final String characters = UNPAIRED_SURROGATE.matcher(text).replaceAll("\uFFFD");
    return whileOpen(
        tokenizer -> {
          final long encoding = encode(tokenizer, characters, addSpecialTokens);
          try {
            return LongStream.of(library.getTokenIds(encoding)).mapToInt(this::checked).toArray();
          } finally {
            library.deleteEncoding(encoding);
          }
        });
  }

  private int checked(final long id) {
    if (id < 0 || id >= size) {
      throw new TokenizerException(
          "The tokenizer adds the id %d; the last of its vocabulary is %d".formatted(id, size - 1));
    }
    return (int) id;
  }

  private long encode(final long tokenizer, final String text, final boolean addSpecialTokens) {
    try {
      return library.encode(tokenizer, text, addSpecialTokens);
    } catch (RuntimeException e) {
      throw new TokenizerException("The text cannot be encoded: " + e.getMessage(), e);
    }
  }

  /**
   * The text of some ids, special tokens left out. Bytes that are no UTF-8 become U+FFFD; an id
   * outside the vocabulary, which a model with a padded output layer can yield, has no text.
   */
  public String decode(final int... ids) {
    final long[] tokens = IntStream.of(ids).filter(this::hasText).asLongStream().toArray();
    return whileOpen(tokenizer -> library.decode(tokenizer, tokens, true));
  }

  /** One more than the largest id. */
  public int vocabularySize() {
    return size;
  }

  /** The id of a token as the tokenizer's file writes it, for example {@code </s>}. */
  public OptionalInt id(final String token) {
    final Integer id = ids.get(token);
    return id == null ? OptionalInt.empty() : OptionalInt.of(id);
  }

  /**
   * The bytes that each token adds to a text; for the first of a text, which may lose a space, they
   * are those behind it.
   *
   * @return by id; null for a token without text
   * @throws TokenizerException if tokens stand for text in a way that is not known
   */
  public byte[][] bytes() {
    final byte[][] all = new byte[size][];
    ids.forEach(
        (token, id) -> {
          if (hasText(id)) {
            all[id] =
                bytes
                    .of(token)
                    .orElseThrow(
                        () ->
                            new TokenizerException(
                                "tokenizer.json has a decoder other than ByteLevel or that of"
                                    + " SentencePiece, so the bytes of its tokens are not known"));
          }
        });
    return all;
  }

  /** Whether a token may stand for text: it is in the vocabulary and not special. */
  boolean hasText(final int id) {
    return id >= 0 && text.get(id);
  }

  /** Releases the native tokenizer. */
  @Override
  public void close() {
    lifetime.writeLock().lock();
    try {
      if (!closed) {
        closed = true;
        library.deleteTokenizer(handle);
      }
    } finally {
      lifetime.writeLock().unlock();
    }
  }

  private <T> T whileOpen(final LongFunction<T> use) {
    lifetime.readLock().lock();
    try {
      if (closed) {
        throw new IllegalStateException("The tokenizer is closed");
      }
      return use.apply(handle);
    } finally {
      lifetime.readLock().unlock();
    }
  }
}
