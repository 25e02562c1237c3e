// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

class MetadataTest {
  private static final MetadataValue HUGE = new MetadataValue.Int(MetadataType.UINT64, -1);

  private final Metadata metadata = Metadata.of("a.gguf", values());

  private static Map<String, Object> values() {
    var values = new LinkedHashMap<String, Object>();
    values.put("name", "Süß 🐈");
    values.put("layers", 5);
    values.put("negative", -7);
    values.put("long", 1L << 40);
    values.put("huge", HUGE);
    values.put("epsilon", 1e-5f);
    values.put("pi", Math.PI);
    values.put("tied", true);
    values.put("tokens", List.of("<s>", "", "ä", "🐈"));
    values.put("types", new int[] {3, -1, 1});
    values.put("longs", new long[] {1L << 40});
    values.put("scores", new float[] {-1.5f, Float.NEGATIVE_INFINITY});
    values.put("doubles", new double[] {0.1});
    values.put("flags", new boolean[] {true, false});
    return values;
  }

  @Test
  void givesEachTypeAndTheOrder() {
    assertThat(metadata.source()).isEqualTo("a.gguf");
    assertThat(metadata.keys()).containsExactlyElementsOf(values().keySet());
    assertThat(metadata.string("name")).contains("Süß 🐈");
    assertThat(metadata.integer("layers")).hasValue(5);
    assertThat(metadata.integer("negative")).hasValue(-7);
    assertThat(metadata.requireInteger("long")).isEqualTo(1L << 40);
    assertThat(metadata.integer32("layers")).hasValue(5);
    assertThat(metadata.number("epsilon")).hasValue(1e-5f);
    assertThat(metadata.number("pi")).hasValue(Math.PI);
    assertThat(metadata.number("layers")).hasValue(5.0);
    assertThat(metadata.bool("tied")).contains(true);
    assertThat(metadata.requireStrings("tokens")).containsExactly("<s>", "", "ä", "🐈");
    assertThat(metadata.ints("types")).contains(new int[] {3, -1, 1});
    assertThat(metadata.floats("scores")).contains(new float[] {-1.5f, Float.NEGATIVE_INFINITY});
    assertThat(metadata.floats("doubles")).contains(new float[] {0.1f});
    assertThat(metadata.floats("longs")).contains(new float[] {1L << 40});
    assertThat(metadata.bools("flags")).contains(new boolean[] {true, false});
  }

  @Test
  void absentIsEmpty() {
    assertThat(metadata.has("x")).isFalse();
    assertThat(metadata.value("x")).isEmpty();
    assertThat(metadata.string("x")).isEmpty();
    assertThat(metadata.integer("x")).isEmpty();
    assertThat(metadata.integer32("x")).isEmpty();
    assertThat(metadata.number("x")).isEmpty();
    assertThat(metadata.bool("x")).isEmpty();
    assertThat(metadata.strings("x")).isEmpty();
    assertThat(metadata.ints("x")).isEmpty();
    assertThat(metadata.floats("x")).isEmpty();
    assertThat(metadata.bools("x")).isEmpty();
  }

  @Test
  void requiredButAbsentNamesFileAndKey() {
    fails(() -> metadata.requireString("x"), "x: missing, expected string");
    fails(() -> metadata.requireInt("x"), "x: missing, expected an integer");
    fails(() -> metadata.requireNumber("x"), "x: missing, expected a number");
    fails(() -> metadata.requireStrings("x"), "x: missing, expected array of string");
  }

  @Test
  void wrongTypeNamesBoth() {
    fails(() -> metadata.strings("layers"), "layers: expected array of string, found uint32");
    fails(() -> metadata.strings("types"), "types: expected array of string, found array of int32");
    fails(() -> metadata.string("tokens"), "tokens: expected string, found array of string");
    fails(() -> metadata.integer("epsilon"), "epsilon: expected an integer, found float32");
    fails(() -> metadata.number("tied"), "tied: expected a number, found bool");
    fails(() -> metadata.bool("layers"), "layers: expected bool, found uint32");
    fails(
        () -> metadata.ints("scores"),
        "scores: expected array of integers, found array of float32");
    fails(
        () -> metadata.floats("tokens"),
        "tokens: expected array of numbers, found array of string");
    fails(() -> metadata.bools("types"), "types: expected array of bool, found array of int32");
  }

  @Test
  void integersThatDoNotFitAreErrors() {
    fails(
        () -> metadata.integer("huge"),
        "huge: expected an integer below 2^63, found 18446744073709551615");
    fails(
        () -> metadata.requireInt("long"), "long: expected a 32-bit integer, found 1099511627776");
    fails(() -> metadata.ints("longs"), "longs[0]: expected a 32-bit integer, found 1099511627776");
    byte[] ones = {-1, -1, -1, -1, -1, -1, -1, -1};
    var unsigned = metadata.with("u", MetadataArray.packed(MetadataType.UINT64, 1, ones));
    fails(() -> unsigned.ints("u"), "u[0]: expected a 32-bit integer, found 18446744073709551615");
    assertThat(unsigned.floats("u")).contains(new float[] {0x1p64f});
  }

  @Test
  void aStringThatIsNotUtf8NamesItsIndex() {
    byte[] packed = {1, 0, 0, 0, 0, 0, 0, 0, 'a', 1, 0, 0, 0, 0, 0, 0, 0, (byte) 0xff};
    var bad = metadata.with("s", MetadataArray.packed(MetadataType.STRING, 2, packed));
    fails(() -> bad.strings("s"), "s[1]: not valid UTF-8");
    // the replacement character itself is valid
    assertThat(metadata.with("s", List.of("\ufffd")).strings("s")).contains(List.of("\ufffd"));
  }

  @Test
  void arraysAreCopiesOrUnmodifiable() {
    metadata.ints("types").orElseThrow()[0] = 99;
    assertThat(metadata.ints("types").orElseThrow()[0]).isEqualTo(3);
    assertThat(metadata.strings("tokens").orElseThrow()).isUnmodifiable();
    assertThat(metadata.strings("tokens")).containsSame(metadata.strings("tokens").orElseThrow());
  }

  @Test
  void withKeepsThePlaceOfAKey() {
    Metadata changed = metadata.with("layers", 6).with("new", "x");
    assertThat(changed.requireInt("layers")).isEqualTo(6);
    assertThat(metadata.requireInt("layers")).isEqualTo(5);
    assertThat(changed.keys()).startsWith("name", "layers").endsWith("flags", "new");
  }

  @Test
  void valuesPrintShort() {
    assertThat(metadata.value("types").orElseThrow()).hasToString("[3, -1, 1]");
    assertThat(metadata.value("tokens").orElseThrow()).hasToString("[<s>, , ä, 🐈]");
    assertThat(metadata.value("flags").orElseThrow()).hasToString("[true, false]");
    assertThat(metadata.value("epsilon").orElseThrow()).hasToString("1.0E-5");
    assertThat(metadata.value("huge").orElseThrow()).hasToString("18446744073709551615");
    assertThat(MetadataArray.of(new int[100]))
        .hasToString("[0, 0, 0, 0, 0, 0, 0, 0, … 100 in all]");
  }

  @Test
  void aClassWithoutMetadataTypeIsRefused() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Metadata.of("a.gguf", Map.of("k", 'c')))
        .withMessage("metadata key k: no metadata type for java.lang.Character");
  }

  private static void fails(ThrowingCallable call, String problem) {
    assertThatExceptionOfType(FormatException.class)
        .isThrownBy(call)
        .withMessage("a.gguf: metadata key " + problem);
  }
}
