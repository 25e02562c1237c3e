// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.backend.Backends;
import dev.tokamak.backend.QuantType;
import dev.tokamak.cli.Console;
import dev.tokamak.cli.Visible;
import dev.tokamak.embedded.EmbeddedModel;
import dev.tokamak.generate.Capacity;
import dev.tokamak.model.Model;
import dev.tokamak.model.ModelOptions;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** A model and how it is run. */
@Command
final class ModelArguments {
  @Option(
      names = {"-m", "--model"},
      paramLabel = "FILE",
      defaultValue = EmbeddedModel.NAME,
      description = "A GGUF file, of a split one any piece; by default " + EmbeddedModel.NAME
          + ", a small model that is in the program.")
  private String name;

  @Option(
      names = "--lora",
      paramLabel = "FILE",
      description = "A LoRA file in GGUF, made for this model: its adapters are added to the"
          + " model's products.")
  private Path lora;

  @Option(
      names = "--ctx",
      paramLabel = "N",
      converter = Whole.class,
      description =
          "Tokens of context, prompt and answer together; by default the model's own, at most "
              + Capacity.DEFAULT_CONTEXT
              + ".")
  private Integer context;

  @Option(
      names = "--kv-type",
      paramLabel = "f32|f16|bf16|q8_0",
      converter = CacheType.class,
      description = "How keys and values are kept; by default f32 for models in F32 or BF16, else"
          + " f16.")
  private QuantType cacheType;

  @Option(
      names = "--chunk",
      paramLabel = "N",
      converter = Whole.class,
      description = "Prompt tokens in a step, at most; changes speed and memory, never results.")
  private Integer chunk;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "Of all that is drawn at random; the same seed, the same results.")
  long seed;

  @Mixin private BackendOptions backend;
  @Mixin OutputOptions output;

  /** Opens the model, with a progress bar where somebody watches. */
  Model open(Console console) {
    try (var progress = ProgressLine.bytes(console, output.quiet, "loading")) {
      return Model.open(
          EmbeddedModel.named(name),
          new ModelOptions(backend.options(), progress::at, Optional.ofNullable(lora)));
    }
  }

  /** What the options say of context, chunk and cache type, defaults for the rest. */
  Capacity capacity(Model model) {
    return capacity(model, Capacity.DEFAULT_CONTEXT);
  }

  /**
   * As above.
   *
   * @param context unless the model's is smaller or the option is given
   */
  Capacity capacity(Model model, int context) {
    Capacity capacity =
        Capacity.of(model).withContext(Math.min(context, model.architecture().context()));
    if (this.context != null) {
      capacity = capacity.withContext(this.context);
    }
    if (chunk != null) {
      capacity = capacity.withChunk(chunk);
    }
    return cacheType == null ? capacity : capacity.withCacheType(cacheType);
  }

  /** Says on standard error what runs on what, and why. */
  void announce(Console console, Model model, Capacity capacity) {
    if (output.quiet) {
      return;
    }
    Backends.Choice choice = model.backend();
    Path file = Path.of(name).getFileName();
    String line =
        String.format(
            Locale.ROOT,
            "backend %s (%s): %s; %s; context %d, cache %s; loaded in %.2f s",
            choice.backend().name(),
            choice.reason(),
            choice.backend().description(),
            lora == null ? file : file + " with " + lora.getFileName(),
            capacity.context(),
            name(capacity.cacheType()),
            model.loadSeconds());
    console.err().println(Visible.line(line));
    if (capacity.context() > model.architecture().context()) {
      console.err().println(
          "warning: the model was made for a context of " + model.architecture().context());
    }
  }

  /** The model as it was named. */
  String name() {
    return name;
  }

  static String name(QuantType type) {
    return type.name().toLowerCase(Locale.ROOT);
  }

  private static final class CacheType implements ITypeConverter<QuantType> {
    private static final List<QuantType> TYPES =
        List.of(QuantType.F32, QuantType.F16, QuantType.BF16, QuantType.Q8_0);

    @Override
    public QuantType convert(String value) {
      return TYPES.stream()
          .filter(type -> name(type).equals(value))
          .findFirst()
          .orElseThrow(
              () ->
                  new TypeConversionException(
                      "expected f32, f16, bf16 or q8_0, found '" + value + "'"));
    }
  }
}
