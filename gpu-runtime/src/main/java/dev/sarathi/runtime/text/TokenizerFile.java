package dev.sarathi.runtime.text;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Stream;

/**
 * A {@code tokenizer.json} that is fit for the native library. That library is Rust, whose panics
 * cannot cross into Java and end the process, so what is known to make it panic is refused here.
 */
final class TokenizerFile {
  private static final long MAX_BYTES = 256L << 20;
  // Many times the largest vocabulary in use; a bit set over it takes 2 MB.
  private static final int MAX_ID = (1 << 24) - 1;
  // Compiling recurses with the nesting, which the length bounds.
  private static final int MAX_REGEX = 1_000;
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private final Path path;
  private final String json;
  private final Map<String, Integer> ids = new HashMap<>();
  private final BitSet text = new BitSet();
  private final TokenBytes bytes;

  private TokenizerFile(final Path path) {
    this.path = path;
    this.json = ModelText.read(path, MAX_BYTES);
    final Document document = parse();
    addVocabulary(document);
    refuseWhatPanics(document);
    bytes = bytesBy(document);
  }

  /**
   * Reads and checks a file.
   *
   * @throws TokenizerException when it cannot be used; the message names the file and the place
   */
  static TokenizerFile read(final Path path) {
    return new TokenizerFile(path);
  }

  /** The file as it stands. */
  String json() {
    return json;
  }

  /** The id of every token, by the token as the file writes it. */
  Map<String, Integer> ids() {
    return ids;
  }

  /** The ids of the tokens that may stand for text: all but the special ones. */
  BitSet text() {
    return text;
  }

  /** How tokens stand for bytes. */
  TokenBytes bytes() {
    return bytes;
  }

  private static TokenBytes bytesBy(final Document document) {
    final List<String> decoders =
        steps(document.decoder, "decoders").map(step -> step.path("type").asText()).toList();
    if (decoders.contains("ByteLevel")) {
      return TokenBytes.BYTE_LEVEL;
    }
    return decoders.contains("Metaspace")
            || steps(document.decoder, "decoders").anyMatch(TokenizerFile::writesSpaces)
        ? TokenBytes.SENTENCE_PIECE
        : TokenBytes.UNKNOWN;
  }

  private static boolean writesSpaces(final JsonNode decoder) {
    return decoder.path("type").asText().equals("Replace")
        && decoder.path("pattern").path("String").asText().equals("\u2581")
        && decoder.path("content").asText().equals(" ");
  }

  TokenizerException refusal(final String reason, final Throwable cause) {
    return new TokenizerException(path + ": " + reason, cause);
  }

  private TokenizerException refusal(final String reason, final Object... arguments) {
    return refusal(reason.formatted(arguments), (Throwable) null);
  }

  @JsonIgnoreProperties(ignoreUnknown = true)
  private record Document(
      Model model,
      @JsonProperty("added_tokens") List<AddedToken> addedTokens,
      JsonNode normalizer,
      @JsonProperty("pre_tokenizer") JsonNode preTokenizer,
      @JsonProperty("post_processor") JsonNode postProcessor,
      JsonNode decoder) {
    Document {
      addedTokens = addedTokens == null ? List.of() : addedTokens;
    }
  }

  @JsonIgnoreProperties(ignoreUnknown = true)
  private record Model(
      JsonNode vocab,
      @JsonProperty("continuing_subword_prefix") String continuingSubwordPrefix,
      String type) {}

  @JsonIgnoreProperties(ignoreUnknown = true)
  private record AddedToken(String content, JsonNode id, boolean special) {}

  private Document parse() {
    Document document;
    try {
      document = MAPPER.readValue(json, Document.class);
    } catch (JsonProcessingException e) {
      throw refusal(
          "not the JSON of a tokenizer" + ModelText.line(e) + ": " + e.getOriginalMessage(), e);
    }
    if (document == null || document.model == null || document.model.vocab == null) {
      throw refusal("model.vocab is missing");
    }
    if (document.addedTokens.stream().anyMatch(Objects::isNull)) {
      throw refusal("added_tokens holds null");
    }
    return document;
  }

  private void addVocabulary(Document document) {
    final JsonNode vocabulary = document.model.vocab;
    if (vocabulary.isObject()) {
      vocabulary.properties().forEach(token -> add(token.getKey(), token.getValue(), false));
    } else {
      // Unigram: pairs of piece and score, the position being the id.
      for (int id = 0; id < vocabulary.size(); id++) {
        add(vocabulary.path(id).path(0).asText(), MAPPER.getNodeFactory().numberNode(id), false);
      }
    }
    for (AddedToken token : document.addedTokens) {
      add(token.content, token.id, token.special);
    }
    if (ids.isEmpty()) {
      throw refusal("model.vocab is empty");
    }
  }

  private void add(String token, JsonNode id, boolean special) {
    if (token == null
        || id == null
        || !id.canConvertToInt()
        || id.intValue() < 0
        || id.intValue() > MAX_ID) {
      throw refusal("token \"%s\" has the id %s; valid are 0 to %,d", token, id, MAX_ID);
    }
    ids.put(token, id.intValue());
    text.set(id.intValue(), !special);
  }

  private void refuseWhatPanics(Document document) {
    final String prefix = document.model.continuingSubwordPrefix;
    if ("BPE".equals(document.model.type) && prefix != null && !prefix.isEmpty()) {
      throw refusal("model.continuing_subword_prefix \"%s\" is not supported with BPE", prefix);
    }
    steps(document.normalizer, "normalizers").forEach(this::refuseNormalizer);
    steps(document.preTokenizer, "pretokenizers").forEach(this::refuseFixedLength);
    steps(document.decoder, "decoders").forEach(this::refuseStripAtTheEnd);
    steps(document.postProcessor, "processors").forEach(this::refuseTemplate);
  }

  private void refuseNormalizer(final JsonNode normalizer) {
    final String regex = normalizer.path("pattern").path("Regex").asText("-");
    switch (normalizer.path("type").asText()) {
      case "Precompiled" -> throw refusal("normalizer Precompiled is not supported");
      case "Prepend" -> {
        if (normalizer.path("prepend").asText().isEmpty()) {
          throw refusal("normalizer Prepend has nothing to prepend");
        }
      }
      case "Replace" -> {
        if (regex.length() > MAX_REGEX) {
          throw refusal(
              "normalizer Replace has a pattern of %,d characters; at most %,d are supported",
              regex.length(), MAX_REGEX);
        }
        if (matchesEmptyText(regex)) {
          throw refusal(
              "normalizer Replace has the pattern \"%s\", which matches an empty text", regex);
        }
      }
      default -> {}
    }
  }

  /**
   * Whether a pattern finds something in an empty text; not known for one that Java cannot read.
   */
  private static boolean matchesEmptyText(final String regex) {
    try {
      return Pattern.compile(regex).matcher("").find();
    } catch (PatternSyntaxException e) {
      return false;
    }
  }

  private void refuseStripAtTheEnd(final JsonNode decoder) {
    if (decoder.path("type").asText().equals("Strip") && decoder.path("stop").asLong() != 0) {
      throw refusal("decoder Strip has the stop %s; only 0 is supported", decoder.path("stop"));
    }
  }

  private void refuseFixedLength(final JsonNode preTokenizer) {
    if (preTokenizer.path("type").asText().equals("FixedLength")) {
      throw refusal("pre_tokenizer FixedLength is not supported");
    }
  }

  private void refuseTemplate(final JsonNode postProcessor) {
    for (JsonNode use : postProcessor.findValues("SpecialToken")) {
      final String token = use.path("id").asText();
      if (!postProcessor.path("special_tokens").has(token)) {
        throw refusal("post_processor adds \"%s\", which its special_tokens lack", token);
      }
    }
    for (JsonNode use : postProcessor.path("single").findValues("Sequence")) {
      if (!use.path("id").asText().equals("A")) {
        throw refusal("post_processor places a second text, %s, in single", use.path("id"));
      }
    }
  }

  /** A processing step, and those inside it where it is a sequence. */
  private static Stream<JsonNode> steps(final JsonNode step, final String parts) {
    return step == null
        ? Stream.empty()
        : Stream.concat(
            Stream.of(step), step.path(parts).valueStream().flatMap(part -> steps(part, parts)));
  }
}
