// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import dev.tokamak.backend.Sampling;
import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import java.math.BigDecimal;
import java.util.Locale;
import java.util.Optional;

/**
 * How the next token is chosen. The steps and their order are {@link Sampler}'s; {@link Option}
 * says of each what it means, its range and its default.
 */
public record SamplerOptions(
    double temp,
    int topK,
    double topP,
    double minP,
    double typical,
    double repeatPenalty,
    double presencePenalty,
    double frequencyPenalty,
    int repeatLastN,
    long seed)
    implements Sampling {

  /** Each option once: what a command line or a request needs to offer it. */
  public enum Option {
    TEMP(
        "temp",
        Kind.REAL,
        0.8,
        0,
        1000,
        "temp",
        "divides the logits: below 1 sharper, above 1 flatter, 0 always the likeliest token"),
    TOP_K("top-k", Kind.INT, 40, 0, Integer.MAX_VALUE, "top_k", "keep the K likeliest; 0 all"),
    TOP_P(
        "top-p",
        Kind.REAL,
        0.95,
        0,
        1,
        "top_p",
        "keep the likeliest that together reach this probability; 1 all"),
    MIN_P(
        "min-p",
        Kind.REAL,
        0.05,
        0,
        1,
        "min_p",
        "keep those at least this fraction as likely as the likeliest; 0 all"),
    TYPICAL(
        "typical",
        Kind.REAL,
        1,
        0,
        1,
        "",
        "keep those whose surprise is closest to the expected one, up to this probability; 1 all"),
    REPEAT_PENALTY(
        "repeat-penalty",
        Kind.REAL,
        1,
        0.001,
        1000,
        "penalty_repeat",
        "divides positive logits of recent tokens, multiplies negative ones; 1 none"),
    PRESENCE_PENALTY(
        "presence-penalty",
        Kind.REAL,
        0,
        -1000,
        1000,
        "",
        "taken off the logits of recent tokens; 0 none"),
    FREQUENCY_PENALTY(
        "frequency-penalty",
        Kind.REAL,
        0,
        -1000,
        1000,
        "",
        "taken off the logits of recent tokens once per occurrence; 0 none"),
    REPEAT_LAST_N(
        "repeat-last-n",
        Kind.INT,
        64,
        -1,
        Integer.MAX_VALUE,
        "penalty_last_n",
        "tokens that count as recent, the prompt's included; 0 none, -1 all"),
    SEED(
        "seed",
        Kind.LONG,
        0,
        Long.MIN_VALUE,
        Long.MAX_VALUE,
        "",
        "of the random draws; the same seed gives the same tokens");

    /** What values an option takes. */
    public enum Kind {
      INT,
      LONG,
      REAL
    }

    private final String flag;
    private final Kind kind;
    private final double standard;
    private final double min;
    private final double max;
    private final String key;
    private final String help;

    Option(
        String flag, Kind kind, double standard, double min, double max, String key, String help) {
      this.flag = flag;
      this.kind = kind;
      this.standard = standard;
      this.min = min;
      this.max = max;
      this.key = key;
      this.help = help;
    }

    /** Its name on a command line, without dashes in front: {@code top-k}. */
    public String flag() {
      return flag;
    }

    public Kind kind() {
      return kind;
    }

    /** What it does, in a line. */
    public String help() {
      return help;
    }

    /** The value used unless the model or the caller says otherwise. */
    public Number standard() {
      return switch (kind) {
        case REAL -> standard;
        case INT, LONG -> (long) standard;
      };
    }

    /** Its value in some options: a Double for {@link Kind#REAL}, else a Long. */
    public Number of(SamplerOptions options) {
      return switch (this) {
        case TEMP -> options.temp;
        case TOP_K -> (long) options.topK;
        case TOP_P -> options.topP;
        case MIN_P -> options.minP;
        case TYPICAL -> options.typical;
        case REPEAT_PENALTY -> options.repeatPenalty;
        case PRESENCE_PENALTY -> options.presencePenalty;
        case FREQUENCY_PENALTY -> options.frequencyPenalty;
        case REPEAT_LAST_N -> (long) options.repeatLastN;
        case SEED -> options.seed;
      };
    }

    private double real(Number value) {
      double real = value.doubleValue();
      if (!(real >= min && real <= max)) {
        throw outside(value);
      }
      return real;
    }

    private long integer(Number value) {
      long integer;
      try {
        integer = new BigDecimal(value.toString()).longValueExact();
      } catch (ArithmeticException | NumberFormatException e) {
        throw outside(value);
      }
      if (kind == Kind.INT && (integer < min || integer > max)) {
        throw outside(value);
      }
      return integer;
    }

    private IllegalArgumentException outside(Number value) {
      String range =
          switch (kind) {
            case REAL -> "number from " + plain(min) + " to " + plain(max);
            case INT, LONG -> "whole number from " + (long) min + " to " + (long) max;
          };
      return new IllegalArgumentException(flag + ": expected a " + range + ", found " + value);
    }

    private static String plain(double value) {
      return BigDecimal.valueOf(value).stripTrailingZeros().toPlainString();
    }

    /** The key of GGUF metadata in which a model recommends a value. */
    private Optional<String> metadataKey() {
      return key.isEmpty() ? Optional.empty() : Optional.of("general.sampling." + key);
    }
  }

  private static final SamplerOptions DEFAULTS = standard();

  public SamplerOptions {
    Option.TEMP.real(temp);
    Option.TOP_K.integer(topK);
    Option.TOP_P.real(topP);
    Option.MIN_P.real(minP);
    Option.TYPICAL.real(typical);
    Option.REPEAT_PENALTY.real(repeatPenalty);
    Option.PRESENCE_PENALTY.real(presencePenalty);
    Option.FREQUENCY_PENALTY.real(frequencyPenalty);
    Option.REPEAT_LAST_N.integer(repeatLastN);
  }

  private static SamplerOptions standard() {
    SamplerOptions options = new SamplerOptions(0, 0, 0, 0, 0, 1, 0, 0, 0, 0);
    for (Option option : Option.values()) {
      options = options.with(option, option.standard());
    }
    return options;
  }

  /** Every option's default. */
  public static SamplerOptions defaults() {
    return DEFAULTS;
  }

  /** The likeliest token each time, ties to the lowest id. */
  public static SamplerOptions greedy() {
    return DEFAULTS.withTemp(0);
  }

  /**
   * What a model's file recommends ({@code general.sampling.*}), defaults for the rest.
   *
   * @throws FormatException if it recommends a value outside an option's range
   */
  public static SamplerOptions of(Metadata metadata) {
    SamplerOptions options = DEFAULTS;
    for (Option option : Option.values()) {
      Optional<String> key = option.metadataKey().filter(metadata::has);
      if (key.isEmpty()) {
        continue;
      }
      double value = metadata.requireNumber(key.get());
      // llama.cpp, which writes these keys, reads any top-k below 1 as all.
      Number wanted = option == Option.TOP_K ? Math.max(0, value) : value;
      try {
        options = options.with(option, wanted);
      } catch (IllegalArgumentException e) {
        throw FormatException.at(metadata.source(), "metadata key " + key.get(), e.getMessage());
      }
    }
    return options;
  }

  /**
   * These options with another value of one.
   *
   * @throws IllegalArgumentException if it is outside the option's range; the message names both
   */
  public SamplerOptions with(Option option, Number value) {
    return new SamplerOptions(
        option == Option.TEMP ? option.real(value) : temp,
        option == Option.TOP_K ? (int) option.integer(value) : topK,
        option == Option.TOP_P ? option.real(value) : topP,
        option == Option.MIN_P ? option.real(value) : minP,
        option == Option.TYPICAL ? option.real(value) : typical,
        option == Option.REPEAT_PENALTY ? option.real(value) : repeatPenalty,
        option == Option.PRESENCE_PENALTY ? option.real(value) : presencePenalty,
        option == Option.FREQUENCY_PENALTY ? option.real(value) : frequencyPenalty,
        option == Option.REPEAT_LAST_N ? (int) option.integer(value) : repeatLastN,
        option == Option.SEED ? option.integer(value) : seed);
  }

  public SamplerOptions withTemp(double value) {
    return with(Option.TEMP, value);
  }

  public SamplerOptions withTopK(int value) {
    return with(Option.TOP_K, value);
  }

  public SamplerOptions withTopP(double value) {
    return with(Option.TOP_P, value);
  }

  public SamplerOptions withMinP(double value) {
    return with(Option.MIN_P, value);
  }

  public SamplerOptions withTypical(double value) {
    return with(Option.TYPICAL, value);
  }

  public SamplerOptions withRepeatPenalty(double value) {
    return with(Option.REPEAT_PENALTY, value);
  }

  public SamplerOptions withPresencePenalty(double value) {
    return with(Option.PRESENCE_PENALTY, value);
  }

  public SamplerOptions withFrequencyPenalty(double value) {
    return with(Option.FREQUENCY_PENALTY, value);
  }

  public SamplerOptions withRepeatLastN(int value) {
    return with(Option.REPEAT_LAST_N, value);
  }

  public SamplerOptions withSeed(long value) {
    return with(Option.SEED, value);
  }

  /** All values in the order of the options: {@code temp=0.8 top-k=40 …}. */
  public String settings() {
    StringBuilder text = new StringBuilder();
    for (Option option : Option.values()) {
      String separator = text.isEmpty() ? "" : " ";
      text.append(String.format(Locale.ROOT, "%s%s=%s", separator, option.flag, option.of(this)));
    }
    return text.toString();
  }
}
