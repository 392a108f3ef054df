package dev.sarathi.runtime.text.jinja;

/** What one rendering may use; a hostile template ends here. Used by one thread. */
final class Budget {
  /** A conversation of a thousand messages takes some hundred thousand. */
  private static final long MAX_STEPS = 10_000_000;

  private static final int CHARACTERS_PER_STEP = 8;

  /** Longer than the longest context in use. */
  private static final int MAX_CHARACTERS = 8 << 20;

  private static final int MAX_ITEMS = 100_000;

  /** Small enough for the stack of any thread. */
  private static final int MAX_DEPTH = 200;

  private long steps;
  private int depth;

  void enter() {
    if (++depth > MAX_DEPTH) {
      throw new TemplateException("rendering nests more than %d deep".formatted(MAX_DEPTH));
    }
    step();
  }

  void leave() {
    depth--;
  }

  void step() {
    charge(1);
  }

  /** To be called before a text of this length is made or read. */
  void characters(final long length) {
    length(length);
    charge(length / CHARACTERS_PER_STEP);
  }

  /** To be called before a text grows to this length. */
  void length(final long length) {
    if (length > MAX_CHARACTERS) {
      throw new TemplateException("a text has more than %,d characters".formatted(MAX_CHARACTERS));
    }
  }

  /** To be called before a part is looked for, which takes up to the product of the lengths. */
  void search(final String text, final String part) {
    charge((1L + part.length() / 64) * text.length() / CHARACTERS_PER_STEP);
  }

  /** To be called before a list of this length is made. */
  void items(final long length) {
    if (length > MAX_ITEMS) {
      throw new TemplateException("a list has more than %,d items".formatted(MAX_ITEMS));
    }
    charge(length);
  }

  private void charge(final long more) {
    steps += more;
    if (steps > MAX_STEPS) {
      throw new TemplateException("rendering takes more than %,d steps".formatted(MAX_STEPS));
    }
  }
}
