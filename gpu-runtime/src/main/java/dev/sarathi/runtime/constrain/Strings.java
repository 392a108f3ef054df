package dev.sarathi.runtime.constrain;

/** The grammar of JSON strings in UTF-8, for one {@link Grammar}. */
final class Strings {
  private final Node quote = Node.text("\"");
  private final Node further = Node.bytes(ByteSet.range(0x80, 0xbf));
  private final Node hex = Node.bytes(ByteSet.of("0123456789abcdefABCDEF"));

  /**
   * One character, as itself or escaped. Surrogates are neither: as an escape, half a pair would be
   * no character.
   */
  private final Node character =
      Node.either(
          Node.bytes(ByteSet.range(0x20, 0x21).and(0x23, 0x5b).and(0x5d, 0x7f)),
          Node.series(
              Node.text("\\"),
              Node.either(
                  Node.bytes(ByteSet.of("\"\\/bfnrt")),
                  Node.series(
                      Node.text("u"),
                      Node.either(
                          Node.series(Node.bytes(ByteSet.of("0123456789abcefABCEF")), hex),
                          Node.series(
                              Node.bytes(ByteSet.of("dD")), Node.bytes(ByteSet.range('0', '7')))),
                      hex,
                      hex))),
          Node.series(Node.bytes(ByteSet.range(0xc2, 0xdf)), further),
          Node.series(Node.bytes(ByteSet.range(0xe0, 0xe0)), range(0xa0, 0xbf), further),
          Node.series(Node.bytes(ByteSet.range(0xe1, 0xec).and(0xee, 0xef)), further, further),
          Node.series(Node.bytes(ByteSet.range(0xed, 0xed)), range(0x80, 0x9f), further),
          Node.series(Node.bytes(ByteSet.range(0xf0, 0xf0)), range(0x90, 0xbf), further, further),
          Node.series(Node.bytes(ByteSet.range(0xf1, 0xf3)), further, further, further),
          Node.series(Node.bytes(ByteSet.range(0xf4, 0xf4)), range(0x80, 0x8f), further, further));

  private static Node range(final int from, final int to) {
    return Node.bytes(ByteSet.range(from, to));
  }

  /** A string of so many characters (code points). */
  Node of(final int min, final int max) {
    return Node.series(quote, Node.repeat(character, min, max), quote);
  }
}
