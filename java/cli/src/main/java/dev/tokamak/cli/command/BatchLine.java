// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.generate.GenerateOptions;
import dev.tokamak.generate.SamplerOptions;
import dev.tokamak.model.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * A line of a batch: a prompt, as text or tokens, and what to do with it.
 *
 * <p>Keys are the options of {@code run} without dashes in front, with {@code _} or {@code -}
 * within.
 */
record BatchLine(Optional<String> prompt, Optional<int[]> tokens, GenerateOptions options) {

  /** The prompt's tokens: of a text, with BOS in front as the model says. */
  int[] tokens(Tokenizer tokenizer) {
    return tokens.orElseGet(() -> tokenizer.encode(prompt.orElseThrow(), true, false));
  }

  /**
   * Reads an object.
   *
   * @throws IllegalArgumentException that names the key at fault
   */
  static BatchLine parse(JsonParser parser, GenerateOptions defaults) {
    if (parser.currentToken() != JsonToken.START_OBJECT) {
      throw new IllegalArgumentException("expected a JSON object with prompt or tokens");
    }
    Optional<String> prompt = Optional.empty();
    Optional<int[]> tokens = Optional.empty();
    GenerateOptions options = defaults;
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String key = parser.currentName();
      parser.nextToken();
      try {
        switch (key) {
          case "prompt" -> prompt = Optional.of(JsonLines.string(parser));
          case "tokens" -> tokens = Optional.of(JsonLines.ints(parser));
          default -> options = option(parser, key.replace('_', '-'), options);
        }
      } catch (IllegalArgumentException e) {
        String named = key.replace('_', '-') + ": "; // as SamplerOptions does
        String problem = e.getMessage();
        throw new IllegalArgumentException(
            key + ": " + (problem.startsWith(named) ? problem.substring(named.length()) : problem),
            e);
      }
    }
    if (prompt.isPresent() == tokens.isPresent()) {
      throw new IllegalArgumentException("expected one of prompt and tokens");
    }
    return new BatchLine(prompt, tokens, options);
  }

  private static GenerateOptions option(JsonParser parser, String key, GenerateOptions options) {
    return switch (key) {
      case "n" -> options.withMaxTokens(whole(parser));
      case "logprobs" -> options.withLogprobs(whole(parser));
      case "ignore-eos" -> options.withIgnoreEos(bool(parser));
      case "receipt" -> options.withReceipt(bool(parser));
      case "stop" -> options.withStop(strings(parser));
      default -> options.withSampler(sampler(parser, key, options.sampler()));
    };
  }

  private static SamplerOptions sampler(
      JsonParser parser, String key, SamplerOptions sampler) {
    var known = new TreeSet<>(List.of("n", "logprobs", "ignore-eos", "receipt", "stop"));
    for (SamplerOptions.Option option : SamplerOptions.Option.values()) {
      if (option.flag().equals(key)) {
        if (!parser.currentToken().isNumeric()) {
          throw new IllegalArgumentException("expected a number");
        }
        return sampler.with(option, parser.getDecimalValue());
      }
      known.add(option.flag());
    }
    throw new IllegalArgumentException(
        "unknown key, expected prompt, tokens, " + String.join(", ", known).replace('-', '_'));
  }

  private static int whole(JsonParser parser) {
    if (parser.currentToken() != JsonToken.VALUE_NUMBER_INT) {
      throw new IllegalArgumentException("expected a whole number");
    }
    return parser.getIntValue();
  }

  private static boolean bool(JsonParser parser) {
    return switch (parser.currentToken()) {
      case VALUE_TRUE -> true;
      case VALUE_FALSE -> false;
      default -> throw new IllegalArgumentException("expected true or false");
    };
  }

  private static List<String> strings(JsonParser parser) {
    if (parser.currentToken() == JsonToken.VALUE_STRING) {
      return List.of(parser.getString());
    }
    if (parser.currentToken() != JsonToken.START_ARRAY) {
      throw new IllegalArgumentException("expected a text or an array of texts");
    }
    var strings = new ArrayList<String>();
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      strings.add(JsonLines.string(parser));
    }
    return strings;
  }
}
