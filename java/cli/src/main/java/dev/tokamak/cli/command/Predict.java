// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Console;
import dev.tokamak.cli.Json;
import dev.tokamak.cli.Quantity;
import dev.tokamak.cli.Visible;
import dev.tokamak.generate.Capacity;
import dev.tokamak.generate.Choice;
import dev.tokamak.generate.Prediction;
import dev.tokamak.generate.Scorer;
import dev.tokamak.model.Model;
import dev.tokamak.model.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.core.JsonGenerator;

/** What comes next, as the model sees it. */
@Command(
    name = "predict",
    description = "Shows the model's distribution over the token that comes next.")
public final class Predict implements Runnable {
  private static final String[] EIGHTHS = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  private static final int BAR_WIDTH = 40;

  @ArgGroup(multiplicity = "1")
  private PromptOptions prompt;

  @Mixin private ModelArguments arguments;

  @Option(
      names = "--top",
      paramLabel = "K",
      defaultValue = "10",
      converter = Whole.class,
      description = "The K likeliest tokens; by default ${DEFAULT-VALUE}.")
  private int top;

  @Option(
      names = "--all",
      description = "The logits of all tokens too (with --json), or all tokens rather than K.")
  private boolean all;

  @Option(
      names = "--every-position",
      description = "After each token of the prompt, not the last one only.")
  private boolean everyPosition;

  private final Console console;

  public Predict(Console console) {
    this.console = console;
  }

  @Override
  public void run() {
    prompt.read(console);
    try (Model model = arguments.open(console)) {
      Capacity capacity = arguments.capacity(model);
      arguments.announce(console, model, capacity);
      int[] tokens = prompt.tokens(model.tokenizer());
      try (var scorer = new Scorer(model, capacity)) {
        if (arguments.output.json) {
          // The first step may find values that are not finite: before anything is written.
          Prediction last = scorer.predict(tokens, top);
          Json.line(console.out(), json -> write(json, scorer, model.tokenizer(), tokens, last));
        } else {
          int count = all ? model.architecture().vocabulary() : top;
          int from = everyPosition ? 0 : Math.max(0, tokens.length - 1);
          scorer.predict(
              tokens, from, count, prediction -> print(prediction, model.tokenizer(), tokens));
        }
      }
    }
  }

  private void print(Prediction prediction, Tokenizer tokenizer, int[] tokens) {
    int token = tokens[prediction.position()];
    console.out().printf(
        "after token %d, %s: entropy %.2f bits%n",
        prediction.position(),
        Visible.quoted(Answers.text(tokenizer, token)),
        prediction.entropyBits());
    double largest = prediction.top().getFirst().probability();
    for (Choice choice : prediction.top()) {
      console.out().printf(
          "%8s  %-" + BAR_WIDTH + "s  %s (%d)%n",
          Quantity.percent(choice.probability()),
          bar(choice.probability() / largest),
          Visible.quoted(Answers.text(tokenizer, choice.id())),
          choice.id());
    }
    console.out().show();
  }

  /** A bar in eighths of a character. */
  private static String bar(double fraction) {
    int eighths = (int) Math.round(fraction * BAR_WIDTH * 8);
    return "█".repeat(eighths / 8) + EIGHTHS[eighths % 8];
  }

  private void write(
      JsonGenerator json, Scorer scorer, Tokenizer tokenizer, int[] tokens, Prediction last) {
    Json.ints(json, "prompt_tokens", tokens);
    if (everyPosition) {
      List<Prediction> kept = new ArrayList<>();
      List<float[]> keptLogits = new ArrayList<>();
      if (all) {
        json.writeArrayPropertyStart("logits");
      }
      scorer.predict(
          tokens,
          0,
          top,
          prediction -> {
            if (all) {
              Json.floats(json, prediction.logits());
            }
            // Without the logits, of which there may be gigabytes.
            kept.add(
                new Prediction(
                    prediction.position(),
                    new float[0],
                    prediction.top(),
                    prediction.entropyBits()));
            keptLogits.add(topLogits(prediction));
          });
      if (all) {
        json.writeEndArray();
      }
      json.writeArrayPropertyStart("positions");
      for (int i = 0; i < kept.size(); i++) {
        json.writeStartObject();
        json.writeNumberProperty("position", kept.get(i).position());
        write(json, tokenizer, kept.get(i), keptLogits.get(i));
        json.writeEndObject();
      }
      json.writeEndArray();
    } else if (all) {
      json.writeName("logits");
      Json.floats(json, last.logits());
    }
    write(json, tokenizer, last, topLogits(last));
  }

  /** Of the likeliest tokens, in their order. */
  private static float[] topLogits(Prediction prediction) {
    float[] logits = new float[prediction.top().size()];
    for (int i = 0; i < logits.length; i++) {
      logits[i] = prediction.logits()[prediction.top().get(i).id()];
    }
    return logits;
  }

  private static void write(
      JsonGenerator json, Tokenizer tokenizer, Prediction prediction, float[] logits) {
    json.writeArrayPropertyStart("top");
    for (int i = 0; i < logits.length; i++) {
      Choice choice = prediction.top().get(i);
      json.writeStartObject();
      json.writeNumberProperty("id", choice.id());
      json.writeStringProperty("text", Answers.text(tokenizer, choice.id()));
      json.writeNumberProperty("logit", logits[i]);
      json.writeNumberProperty("probability", choice.probability());
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeNumberProperty("entropy_bits", prediction.entropyBits());
  }
}
