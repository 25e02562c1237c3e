// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.backend.QuantType;
import dev.tokamak.cli.Console;
import dev.tokamak.cli.Json;
import dev.tokamak.cli.Quantity;
import dev.tokamak.model.Quantizer;
import dev.tokamak.model.format.Metadata;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.TypeConversionException;

/** A model in another type. */
@Command(
    name = "quantize",
    description = "Writes a model file in another type; vectors, such as norms and biases, in F32.")
public final class Quantize implements Runnable {
  private static final Pattern WHOLE = Pattern.compile("-?[0-9]{1,9}");
  private static final Pattern REAL = Pattern.compile("-?[0-9]+\\.[0-9]+");

  @Parameters(index = "0", paramLabel = "IN", description = "A GGUF file; of a split one any piece.")
  private Path in;

  @Parameters(index = "1", paramLabel = "OUT", description = "The file to write.")
  private Path out;

  @Parameters(
      index = "2",
      paramLabel = "f32|f16|bf16|q8_0|q4_0",
      converter = Type.class,
      description = "Of the matrices. Where a row is not whole blocks of 32: f16.")
  private QuantType type;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "Writes metadata, such as general.name=Lily or general.sampling.temp=0.7: a"
          + " number, true or false, or a text. May be given again.")
  private Map<String, String> more = Map.of();

  @Mixin private OutputOptions output;

  private final Console console;

  public Quantize(Console console) {
    this.console = console;
  }

  @Override
  public void run() {
    Quantizer.Result result;
    try (var progress = ProgressLine.bytes(console, output.quiet, "quantizing")) {
      result = Quantizer.quantize(in, out, type, metadata(), progress::at);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    if (!output.quiet && !result.uneven().isEmpty()) {
      console.err().println(
          "warning: rows are not whole blocks of " + type.blockElements() + ", so these are F16: "
              + String.join(", ", result.uneven()));
    }
    if (output.json) {
      Json.line(
          console.out(),
          json -> {
            json.writeNumberProperty("tensors", result.tensors());
            json.writeNumberProperty("bytes", result.bytes());
          });
    } else if (!output.quiet) {
      console.err().println(
          out.getFileName() + ": " + result.tensors() + " tensors, "
              + Quantity.of(result.bytes(), "B"));
    }
  }

  private Metadata metadata() {
    Map<String, Object> values = new LinkedHashMap<>();
    more.forEach((key, text) -> values.put(key, value(text)));
    return Metadata.of("--set", values);
  }

  /** Of the types that GGUF has for such values where their width does not matter. */
  private static Object value(String text) {
    if (text.equals("true") || text.equals("false")) {
      return Boolean.valueOf(text);
    }
    if (WHOLE.matcher(text).matches()) {
      return Integer.valueOf(text);
    }
    return REAL.matcher(text).matches() ? (Object) Float.valueOf(text) : text;
  }

  private static final class Type implements ITypeConverter<QuantType> {
    @Override
    public QuantType convert(String value) {
      return Quantizer.TYPES.stream()
          .filter(type -> type.name().equalsIgnoreCase(value))
          .findFirst()
          .orElseThrow(
              () ->
                  new TypeConversionException(
                      "expected "
                          + Quantizer.TYPES.stream()
                              .map(type -> type.name().toLowerCase(Locale.ROOT))
                              .collect(Collectors.joining(", "))
                          + ", found '" + value + "'"));
    }
  }
}
