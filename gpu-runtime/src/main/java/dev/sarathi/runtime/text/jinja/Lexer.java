package dev.sarathi.runtime.text.jinja;

import dev.sarathi.runtime.text.jinja.Token.Kind;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/**
 * Cuts a template into tokens, with {@code trim_blocks} and {@code lstrip_blocks} on: the newline
 * after a block goes, and so do the blanks before a block that begins its line.
 */
final class Lexer {
  private static final List<String> OPERATORS =
      List.of("==", "!=", "<=", ">=", "//", "**", "+", "-", "*", "/", "%", "~", "<", ">", "=", "|");
  private static final String PUNCTUATION = ".,:()[]{}";

  private final String source;
  private final List<Token> tokens = new ArrayList<>();
  private int position;
  private int line = 1;
  private int counted;

  /** Whether the last tag took the newline behind it along. */
  private boolean lineStarting = true;

  private Lexer(final String source) {
    this.source = source;
  }

  static List<Token> tokens(final String template) {
    final String source = template.replace("\r\n", "\n").replace('\r', '\n');
    final Lexer lexer =
        new Lexer(source.endsWith("\n") ? source.substring(0, source.length() - 1) : source);
    lexer.template();
    return lexer.tokens;
  }

  private void template() {
    while (position < source.length()) {
      final int tag = nextTag();
      if (tag < 0) {
        data(source.substring(position));
        position = source.length();
        break;
      }
      final char type = source.charAt(tag + 1);
      final char sign = tag + 2 < source.length() ? source.charAt(tag + 2) : 0;
      data(stripped(source.substring(position, tag), type, sign));
      position = tag + (sign == '-' || sign == '+' ? 3 : 2);
      switch (type) {
        case '#' -> comment();
        case '%' -> code(Kind.BLOCK_BEGIN, Kind.BLOCK_END, "%}");
        default -> code(Kind.EXPRESSION_BEGIN, Kind.EXPRESSION_END, "}}");
      }
    }
    add(Kind.END, "");
  }

  private int nextTag() {
    for (int i = position; i + 1 < source.length(); i++) {
      if (source.charAt(i) == '{' && "{%#".indexOf(source.charAt(i + 1)) >= 0) {
        return i;
      }
    }
    return -1;
  }

  private String stripped(final String text, final char type, final char sign) {
    if (sign == '-') {
      return Text.stripEnd(text);
    }
    if (sign != '+' && type != '{') {
      final int lineStart = text.lastIndexOf('\n') + 1;
      if ((lineStart > 0 || lineStarting) && Text.strip(text.substring(lineStart)).isEmpty()) {
        return text.substring(0, lineStart);
      }
    }
    return text;
  }

  private void data(final String text) {
    if (!text.isEmpty()) {
      add(Kind.DATA, text);
    }
  }

  private void comment() {
    final int end = source.indexOf("#}", position);
    if (end < 0) {
      throw TemplateException.at(lineNow(), "a comment does not end");
    }
    final char sign = end > position ? source.charAt(end - 1) : 0;
    position = end + 2;
    skipBehindTag(sign, true);
  }

  private void code(final Kind begin, final Kind end, final String endTag) {
    add(begin, begin == Kind.BLOCK_BEGIN ? "{%" : "{{");
    final Deque<Character> open = new ArrayDeque<>();
    while (position < source.length()) {
      final char next = source.charAt(position);
      final boolean signed = next == '-' || (next == '+' && end == Kind.BLOCK_END);
      if (open.isEmpty() && source.startsWith(endTag, position + (signed ? 1 : 0))) {
        add(end, endTag);
        position += signed ? 3 : 2;
        skipBehindTag(signed ? next : 0, end == Kind.BLOCK_END);
        return;
      }
      if (Text.isSpace(next)) {
        position++;
      } else if (next == '\'' || next == '"') {
        string(next);
      } else if (next >= '0' && next <= '9') {
        number();
      } else if (next == '_' || Character.isUnicodeIdentifierStart(next)) {
        name();
      } else {
        operator(open);
      }
    }
    throw TemplateException.at(lineNow(), "%s is missing", endTag);
  }

  private void skipBehindTag(final char sign, final boolean trimsNewline) {
    final int from = position;
    if (sign == '-') {
      while (position < source.length() && Text.isSpace(source.charAt(position))) {
        position++;
      }
    } else if (sign != '+' && trimsNewline && source.startsWith("\n", position)) {
      position++;
    }
    lineStarting = position > from && source.charAt(position - 1) == '\n';
  }

  private void name() {
    final int from = position;
    while (position < source.length()
        && (source.charAt(position) == '_'
            || Character.isUnicodeIdentifierPart(source.charAt(position)))) {
      position++;
    }
    add(Kind.NAME, source.substring(from, position));
  }

  private void number() {
    final int from = position;
    while (position < source.length()
        && (Character.isLetterOrDigit(source.charAt(position)) || source.charAt(position) == '_')) {
      position++;
    }
    final String digits = source.substring(from, position);
    final boolean fraction =
        position + 1 < source.length()
            && source.charAt(position) == '.'
            && Character.isDigit(source.charAt(position + 1));
    if (fraction || !digits.matches("0|[1-9][0-9]{0,17}")) {
      throw TemplateException.at(
          lineNow(), "number %s is not supported; a number is a whole one", digits);
    }
    add(Kind.INTEGER, digits);
  }

  private void operator(final Deque<Character> open) {
    final char next = source.charAt(position);
    if (PUNCTUATION.indexOf(next) >= 0) {
      switch (next) {
        case '(', '[', '{' -> open.push(next);
        case ')', ']', '}' -> {
          if (open.isEmpty() || "([{".indexOf(open.pop()) != ")]}".indexOf(next)) {
            throw TemplateException.at(lineNow(), "'%s' closes nothing", next);
          }
        }
        default -> {}
      }
      add(Kind.OPERATOR, String.valueOf(next));
      position++;
      return;
    }
    final String operator =
        OPERATORS.stream()
            .filter(candidate -> source.startsWith(candidate, position))
            .findFirst()
            .orElseThrow(
                () -> TemplateException.at(lineNow(), "character '%s' has no meaning", next));
    add(Kind.OPERATOR, operator);
    position += operator.length();
  }

  private void string(final char quote) {
    final int begin = lineNow();
    final StringBuilder value = new StringBuilder();
    position++;
    while (position < source.length() && source.charAt(position) != quote) {
      if (source.charAt(position) == '\\' && position + 1 < source.length()) {
        position++;
        escape(value);
      } else {
        value.append(source.charAt(position++));
      }
    }
    if (position >= source.length()) {
      throw TemplateException.at(begin, "a string does not end");
    }
    add(Kind.STRING, value.toString());
    position++;
  }

  /** As in Python: what is no escape keeps its backslash. */
  private void escape(final StringBuilder value) {
    final char escape = source.charAt(position++);
    switch (escape) {
      case '\n' -> {}
      case '\\', '\'', '"' -> value.append(escape);
      case 'n' -> value.append('\n');
      case 't' -> value.append('\t');
      case 'r' -> value.append('\r');
      case 'f' -> value.append('\f');
      case 'b' -> value.append('\b');
      case 'a' -> value.append('\u0007');
      case 'v' -> value.append('\u000B');
      case 'x' -> value.append((char) hexadecimal(2));
      case 'u' -> value.append((char) hexadecimal(4));
      case 'U' -> {
        final int point = hexadecimal(8);
        if (!Character.isValidCodePoint(point)) {
          throw TemplateException.at(lineNow(), "\\U%08x is no character", point);
        }
        value.appendCodePoint(point);
      }
      case 'N', '0', '1', '2', '3', '4', '5', '6', '7' ->
          throw TemplateException.at(lineNow(), "escape \\%s is not supported", escape);
      default -> value.append('\\').append(escape);
    }
  }

  private int hexadecimal(final int digits) {
    final int end = Math.min(source.length(), position + digits);
    final String number = source.substring(position, end);
    if (!number.matches("[0-9a-fA-F]{" + digits + "}")) {
      throw TemplateException.at(
          lineNow(), "an escape needs %d hexadecimal digits, not '%s'", digits, number);
    }
    position = end;
    return Integer.parseUnsignedInt(number, 16);
  }

  private void add(final Kind kind, final String text) {
    tokens.add(new Token(kind, text, lineNow()));
  }

  private int lineNow() {
    final int end = Math.min(position, source.length());
    while (counted < end) {
      if (source.charAt(counted++) == '\n') {
        line++;
      }
    }
    return line;
  }
}
