// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.generate.SamplerOptions;
import dev.tokamak.generate.SamplerOptions.Option;
import java.math.BigDecimal;
import picocli.CommandLine.IModelTransformer;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.TypeConversionException;

/**
 * The options of {@link SamplerOptions}, one for each row there, names, help and defaults included;
 * but for the seed, which every command has.
 */
final class SamplingOptions {
  private SamplingOptions() {}

  /** Adds the options to a command. */
  static final class Added implements IModelTransformer {
    @Override
    public CommandSpec transform(CommandSpec command) {
      for (Option option : Option.values()) {
        if (option != Option.SEED) {
          command.addOption(
              OptionSpec.builder("--" + option.flag())
                  .type(Number.class)
                  .converters((ITypeConverter<Number>) value -> number(option, value))
                  .paramLabel("N")
                  .description(
                      sentence(option.help()) + " By default " + option.standard()
                          + " or what the model recommends.")
                  .build());
        }
      }
      return command;
    }
  }

  /** What was given of them, on top of what is there. */
  static SamplerOptions of(CommandSpec command, SamplerOptions defaults) {
    SamplerOptions options = defaults;
    for (Option option : Option.values()) {
      OptionSpec given = command.findOption("--" + option.flag());
      if (option != Option.SEED && given.getValue() instanceof Number value) {
        options = options.with(option, value);
      }
    }
    return options;
  }

  private static Number number(Option option, String text) {
    Number value;
    try {
      value = new BigDecimal(text);
    } catch (NumberFormatException _) {
      throw new TypeConversionException("expected a number, found '" + text + "'");
    }
    try {
      SamplerOptions.defaults().with(option, value);
    } catch (IllegalArgumentException e) {
      // The option's name stands before it already.
      throw new TypeConversionException(
          e.getMessage().replaceFirst("^" + option.flag() + ": ", ""));
    }
    return value;
  }

  private static String sentence(String help) {
    return Character.toUpperCase(help.charAt(0)) + help.substring(1) + ".";
  }
}
