package dev.sarathi.runtime.text.jinja;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a template may not do; that it does the rest right is shown by ChatTemplateTest. */
class TemplateTest {
  private static final Duration BOUND = Duration.ofSeconds(20);

  @ParameterizedTest
  @CsvSource(
      delimiter = '!',
      quoteCharacter = '`',
      value = {
        "{% include 'x' %}                    ! statement 'include' is not supported",
        "{% raw %}{% endraw %}                ! statement 'raw' is not supported",
        "{% call f() %}{% endcall %}          ! statement 'call' is not supported",
        "{% filter upper %}{% endfilter %}    ! statement 'filter' is not supported",
        "{% for a in b recursive %}{% endfor %} ! a recursive loop is not supported",
        "{{ a | pprint }}                     ! filter 'pprint' is not supported",
        "{{ a is sameas b }}                  ! test 'sameas' is not supported",
        "{{ a.format(1) }}                    ! method 'format' is not supported",
        "{{ a.getClass() }}                   ! method 'getClass' is not supported",
        "{{ ''.__class__.__mro__() }}         ! method '__mro__' is not supported",
        "{{ 1.5 }}                            ! number 1 is not supported",
        "{{ 12345678901234567890 }}           ! is not supported; a number is a whole one",
        "{{ 0x10 }}                           ! number 0x10 is not supported",
        "{{ 1 / 2 }}                          ! operator '/' is not supported",
        "{{ 2 ** 9 }}                         ! operator '**' is not supported",
        "{{ 1, 2 }}                           ! a tuple is not supported",
        "{{ () }}                             ! a tuple is not supported",
        "{% set a, b = c %}                   ! ',' where = or %} is expected",
        "{% break %}                          ! 'break' outside a loop",
        "{% set loop = 1 %}                   ! 'loop' cannot be assigned",
        "{{                                   ! }} is missing",
        "{% if                                ! %} is missing",
        "{# a                                 ! a comment does not end",
        "{{ 'a                                ! a string does not end",
        "{% if a %}                           ! endif is missing",
        "{% for a in b %}                     ! endfor is missing",
        "{% endif %}                          ! statement 'endif' is not supported",
        "{{ a b }}                            ! 'b' where expression end is expected",
        "{{ (a] }}                            ! ']' closes nothing",
        "{{ a $ b }}                          ! character '$' has no meaning",
        "{{ }}                                ! '}}' where a value is expected",
        "{{ a is string is defined }}         ! tests in a row have no meaning",
        "{{ '\\N{DASH}' }}                    ! escape \\N is not supported",
        "{{ f(a=1, a=2) }}                    ! argument 'a' is there twice",
        "{% macro f(a, a) %}{% endmacro %}    ! parameter 'a' is there twice",
      })
  void shouldRefuseWhatItDoesNotSupportWhenItIsParsed(final String source, final String reason) {
    assertThatExceptionOfType(TemplateException.class)
        .isThrownBy(() -> Template.parse("first line\n" + source))
        .withMessageStartingWith("line 2: ")
        .withMessageContaining(reason);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '!',
      quoteCharacter = '`',
      value = {
        "{{ missing + 'a' }}                  ! 'missing' is undefined",
        "{{ missing.a }}                      ! 'missing' is undefined",
        "{{ missing() }}                      ! 'missing' is undefined",
        "{{ text.a.b }}                       ! a string has no attribute 'a'",
        "{{ 'a' + 1 }}                        ! a number cannot be used with +",
        "{{ 1 + none }}                       ! none cannot be used with +",
        "{{ 'a' < 1 }}                        ! a number cannot be used with <",
        "{{ 1 in 'a' }}                       ! a number cannot be used with 'in' a string",
        "{{ [1] }}                            ! a list as text is not supported",
        "{{ {} ~ '' }}                        ! a mapping as text is not supported",
        "{{ range }}                          ! a function as text is not supported",
        "{{ 'a'.class }}{{ 'a'.class.name }}  ! a string has no attribute 'class'",
        "{{ 1 // 0 }}                         ! / by zero",
        "{{ 1 % 0 }}                          ! / by zero",
        "{{ 999999999999999999 * 999 }}       ! overflow",
        "{{ 'a' * 9 }}                        ! a string cannot be used with *",
        "{{ '%s' % 9 }}                       ! a string cannot be used with %",
        "{{ none[1:] }}                       ! none cannot be used with a slice",
        "{{ 'abc'[::0] }}                     ! a slice has the step 0",
        "{{ 'a'.split('') }}                  ! an empty part",
        "{% for a in 1 %}{% endfor %}         ! a number cannot be used with a loop",
        "{% for a, b in ['xyz'] %}{% endfor %} ! 3 values for the names [a, b]",
        "{% set x.a = 1 %}                    ! 'x' is no namespace",
        "{{ {1: 2} }}                         ! a number cannot be used with a mapping as its key",
        "{{ [1] | tojson(separators=1) }}     ! filter 'tojson' does not support",
        "{{ [1] | tojson(indent=1000000000) }} ! valid are 0 to 100",
        "{{ range(1, 2, 0) }}                 ! range has the step 0",
        "{{ text | trim('a', 'b') }}          ! filter 'trim' does not support",
        "{% macro f(a) %}{% endmacro %}{{ f(1, 2) }} ! macro 'f' has 2 arguments",
      })
  void shouldNameTheLineOfAMistake(final String source, final String reason) {
    final Template template = Template.parse("first line\n" + source);

    assertThatExceptionOfType(TemplateException.class)
        .isThrownBy(() -> template.render(Map.of("text", "words")))
        .withMessageContaining(reason);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{% for i in range(10 ** 9) %}{% endfor %}",
        "{% for i in range(1000000000) %}{% endfor %}",
        "{% for i in range(0, 999999999999999999, 1) %}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(n) %}{{ g(n) }}{% endmacro %}{% macro g(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
        "{% set n = namespace(s='ab') %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}",
        "{% set n = namespace(s='ab') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
        "{% set n = namespace(s='ab') %}{% for i in range(99) %}{% set n.s = n.s.replace('a', n.s) %}{% endfor %}",
        "{% set n = namespace(s=['ab']) %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}",
        "{% set n = namespace(s=['ab']) %}{% for i in range(9999) %}{% set n.s = [n.s] %}{% endfor %}{{ n.s | tojson }}",
        "{% set n = namespace(s=['ab'], t=['ab']) %}{% for i in range(9999) %}{% set n.s = [n.s] %}{% set n.t = [n.t] %}{% endfor %}{{ n.s == n.t }}",
        "{% set n = namespace(s=['ab']) %}{% for i in range(60) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s | tojson }}",
        "{% for a in range(99999) %}{{ text }}{% endfor %}",
        "{% set n = namespace(s='a') %}{% for i in range(22) %}{% set n.s = n.s + n.s %}{% endfor %}{{ (n.s ~ 'b') in n.s }}{{ n.s.split('a') }}",
        "{% set n = namespace() %}{% set n.self = n %}{{ n | tojson }}",
      })
  void shouldEndAHostileTemplate(final String source) {
    Assertions.assertTimeoutPreemptively(
        BOUND,
        () ->
            assertThatExceptionOfType(TemplateException.class)
                .isThrownBy(
                    () -> Template.parse(source).render(Map.of("text", "x".repeat(100_000)))));
  }

  @Test
  void shouldRefuseToNestWithoutEnd() {
    for (final List<String> nesting :
        List.of(
            List.of("(", "1", ")"),
            List.of("[", "1", "]"),
            List.of("not ", "1", ""),
            List.of("-", "1", ""),
            List.of("{'a': ", "1", "}"),
            List.of("a[", "1", "]"),
            List.of("a(", "1", ")"),
            List.of("a|join(", "1", ")"),
            List.of("1 is in [", "1", "]"),
            List.of("1 if a else ", "1", ""),
            List.of("{% if a %}", "", "{% endif %}"),
            List.of("{% for a in b %}", "", "{% endfor %}"),
            List.of("{% if a %}{% elif a %}", "", ""))) {
      final String nested =
          nesting.get(0).repeat(50_000) + nesting.get(1) + nesting.get(2).repeat(50_000);
      final String source = nested.startsWith("{%") ? nested : "{{ " + nested + " }}";
      assertThatExceptionOfType(TemplateException.class)
          .isThrownBy(() -> Template.parse(source))
          .withMessageContaining("nested more than 100 deep");
    }
  }

  /** Their trees are deep without a nesting in the source; on the smallest stack in use. */
  @ParameterizedTest
  @ValueSource(strings = {"+ 1 ", "* 1 ", "or 0 ", "and 1 ", ".a", "[0]", "| string ", "if 1 "})
  void shouldRefuseChainsWithoutEnd(final String link) throws InterruptedException {
    final Template template = Template.parse("{{ 1 " + link.repeat(50_000) + "}}");
    final Throwable[] thrown = new Throwable[1];
    final Thread small =
        new Thread(
            null,
            () -> {
              try {
                template.render(Map.of());
              } catch (final Throwable e) {
                thrown[0] = e;
              }
            },
            "small stack",
            400 << 10);
    small.start();
    small.join();

    assertThat(thrown[0])
        .isInstanceOf(TemplateException.class)
        .hasMessageContaining("nests more than 200 deep");
  }

  @Test
  void shouldHaveRoomForALongConversation() {
    final Template template =
        Template.parse(
            "{% for m in messages %}{{ '<' + m.role + '>' + m.content | trim + '\\n' }}{% endfor %}");
    final List<Map<String, String>> messages =
        IntStream.range(0, 2_000)
            .mapToObj(i -> Map.of("role", "user", "content", " word".repeat(400)))
            .toList();

    assertThat(template.render(Map.of("messages", messages))).hasSize(2_000 * (7 + 1_999));
  }
}
