// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.generate.GenerateOptions;
import dev.tokamak.generate.SamplerOptions;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** What a generation is to do, sampling apart. */
@Command
final class GenerationArguments {
  @Option(
      names = "-n",
      paramLabel = "N",
      converter = Whole.OrZero.class,
      description =
          "Tokens to generate, at most; by default until the model ends or the context is full.")
  private Integer tokens;

  @Option(names = "--ignore-eos", description = "Goes on where the model ends its text.")
  private boolean ignoreEos;

  @Option(
      names = "--stop",
      paramLabel = "TEXT",
      converter = NotEmpty.class,
      description = "Ends before this text; may be given several times.")
  private List<String> stop = new ArrayList<>();

  @Option(
      names = "--logprobs",
      paramLabel = "K",
      converter = Whole.OrZero.class,
      description = "Tells each token's log probability, and the K likeliest tokens beside it.")
  Integer logprobs;

  @Option(
      names = "--receipt",
      description =
          "Tells hashes of the model's file and of all logits that were sampled from, and the"
              + " settings.")
  private boolean receipt;

  GenerateOptions options(SamplerOptions sampler) {
    return new GenerateOptions(
        sampler,
        tokens == null ? Integer.MAX_VALUE : tokens,
        stop,
        ignoreEos,
        logprobs == null ? OptionalInt.empty() : OptionalInt.of(logprobs),
        receipt);
  }

  private static final class NotEmpty implements ITypeConverter<String> {
    @Override
    public String convert(String value) {
      if (value.isEmpty()) {
        throw new TypeConversionException("expected a text, found an empty one");
      }
      return value;
    }
  }
}
