// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.testing.Seeds;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whatever a template does, it ends soon, and with one line if it cannot end well. */
class HostileTemplateTest {
  private static String render(String source) {
    return Template.parse("evil.jinja", source)
        .render(Map.of("s", "x".repeat(1000)), TemplateCasesTest.CLOCK)
        .text();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{{ 'x' * 1000000000 }}",
        "{{ [1] * 1000000000 }}",
        "{{ 'x'|center(999999999999) }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '{:999999999}'.format(1) }}",
        "{{ '%.999999f' % 1 }}",
        "{{ 'x'.ljust(9999999999) }}",
        "{{ 'x'.zfill(9999999999) }}",
        "{{ 'a\nb'|indent(999999999) }}",
        "{{ [[1]]|tojson(indent=999999999) }}",
        "{{ range(99999999999)|list }}",
        "{{ 9 ** (9 ** (9 ** 9)) }}",
        "{{ 10 ** 100000 }}",
        "{{ (-2) ** 99999999 }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{{ s }}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% set n = namespace(a=[1]) %}{% for i in range(60) %}{% set n.a = n.a + n.a %}"
            + "{% endfor %}",
        "{% set n = namespace(a=[1]) %}{% for i in range(60) %}{% set n.a = [n.a, n.a] %}"
            + "{% endfor %}{{ n.a }}",
        "{% set n = namespace(a=[1]) %}{% for i in range(60) %}{% set n.a = [n.a, n.a] %}"
            + "{% endfor %}{{ n.a|tojson }}",
        "{% set n = namespace(a=[1], b=[1]) %}{% for i in range(60) %}{% set n.a = [n.a, n.a] %}"
            + "{% set n.b = [n.b, n.b] %}{% endfor %}{{ n.a == n.b }}",
        "{% set n = namespace(a=[1]) %}{% for i in range(99999) %}{% set n.a = [n.a] %}"
            + "{% endfor %}{{ n.a }}",
        "{% set n = namespace() %}{% set n.n = n %}{{ n }}",
        "{% set n = namespace(a='x') %}{% for i in range(60) %}{% set n.a = n.a ~ n.a %}"
            + "{% endfor %}",
        "{% set n = namespace(a='x') %}{% for i in range(60) %}"
            + "{% set n.a = n.a.replace('x', 'xx') %}{% endfor %}",
        "{% for a in range(99999) %}{{ s * 10000 in s * 10001 }}{% endfor %}",
        "{{ s.__class__.__mro__ }}",
        "{{ ''.join.__globals__.x }}",
        "{% set x = [] %}{{ x.append(1) }}"
      })
  void isStopped(String source) {
    Assertions.assertTimeoutPreemptively(
        Duration.ofSeconds(60),
        () ->
            assertThatThrownBy(() -> render(source))
                .isInstanceOf(TemplateException.class)
                .hasMessageStartingWith("evil.jinja: line 1: ")
                .hasMessageNotContaining("\n"));
  }

  @Test
  void deepTemplatesAreRefused() {
    for (String[] part :
        new String[][] {
          {"(", "1", ")"}, {"[", "1", "]"}, {"not ", "1", ""}, {"-", "1", ""}, {"{1:", "1", "}"}
        }) {
      String source = "{{ " + part[0].repeat(100_000) + part[1] + part[2].repeat(100_000) + " }}";
      assertThatThrownBy(() -> render(source))
          .isInstanceOf(TemplateException.class)
          .hasMessageContaining("levels deep");
    }
    assertThatThrownBy(() -> render("{% if 1 %}".repeat(100_000) + "{% endif %}".repeat(100_000)))
        .isInstanceOf(TemplateException.class)
        .hasMessageContaining("levels deep");
    // A tree that is deep without brackets.
    assertThatThrownBy(() -> render("{{ 1" + "+1".repeat(200_000) + " }}"))
        .isInstanceOf(TemplateException.class)
        .hasMessageContaining("nested too deeply");
    assertThat(render("{{ " + "(".repeat(50) + "1" + ")".repeat(50) + " }}")).isEqualTo("1");
  }

  /** Damaged templates: any outcome but a crash. */
  @Test
  void noiseIsReadOrRefused() {
    long seed = Seeds.seed();
    var random = new SplittableRandom(seed);
    String alphabet = "{}%#-+ \n\"'()[]|.,:=~*/<>!abifnorst01\\\u00e9\ud83d";
    List<String> words =
        List.of("{%", "%}", "{{", "}}", " if ", " for ", " in ", "endif", "endfor", "s", "|join",
            " is ", "set", "macro", "m()", "endmacro", "range(3)", "loop.last", "[::-1]", "~");
    for (int i = 0; i < 20_000; i++) {
      var source = new StringBuilder();
      for (int length = random.nextInt(25); length > 0; length--) {
        if (random.nextBoolean()) {
          source.append(words.get(random.nextInt(words.size())));
        } else {
          source.append(alphabet.charAt(random.nextInt(alphabet.length())));
        }
      }
      try {
        render(source.toString());
      } catch (TemplateException e) {
        assertThat(e.getMessage()).doesNotContain("\n");
      } catch (RuntimeException | Error e) {
        throw new AssertionError("seed " + seed + ": " + source, e);
      }
    }
  }

  @Test
  void errorsNameTheLine() {
    assertThatThrownBy(() -> render("a\nb\n{{ 1 +\n nothing.x }}"))
        .hasMessage("evil.jinja: line 3: 'nothing' is undefined");
    String macro = "{% macro m() %}\n\n{{ 1 }}\n{% endmacro %}\n{{ m() }}\n{{ 1/0 }}";
    assertThatThrownBy(() -> render(macro))
        .hasMessage("evil.jinja: line 6: division by zero");
    assertThatThrownBy(() -> render("{% if s %}\n\n{{ raise_exception('a\nb') }}{% endif %}"))
        .isInstanceOfSatisfying(
            TemplateException.class,
            e -> {
              assertThat(e.raised()).isTrue();
              assertThat(e.line()).isEqualTo(3);
              assertThat(e.problem()).isEqualTo("a\nb");
            })
        .hasMessage("evil.jinja: line 3: a b");
    assertThatThrownBy(() -> render("\n{% for x in %}"))
        .hasMessage("evil.jinja: line 2: expected an expression, found end of statement block");
  }

  @Test
  void generatedPartsAreMarked() {
    String source =
        "{% for m in ms %}{{ m }}:{% generation %}{{ m * 2 }}!{% endgeneration %};{% endfor %}";
    Template template = Template.parse("t", source);
    Template.Rendered rendered =
        template.render(Map.of("ms", List.of("a", "b")), TemplateCasesTest.CLOCK);
    assertThat(rendered.text()).isEqualTo("a:aa!;b:bb!;");
    assertThat(rendered.generated())
        .containsExactly(new Template.Span(2, 5), new Template.Span(8, 11));
  }

  @Test
  void valuesOfNoKindAreRefused() {
    Template template = Template.parse("t", "x");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> template.render(Map.of("a", new Object()), TemplateCasesTest.CLOCK));
  }
}
