// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Console;
import dev.tokamak.cli.Interrupt;
import dev.tokamak.train.ConfigKey;
import dev.tokamak.train.ConfigKeys;
import dev.tokamak.train.Stage;
import dev.tokamak.train.TrainConfig;
import dev.tokamak.train.recipe.Dpo;
import dev.tokamak.train.recipe.Grpo;
import dev.tokamak.train.recipe.Pretrain;
import dev.tokamak.train.recipe.Sft;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.IModelTransformer;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.TypeConversionException;

/** Makes a model, stage by stage. */
@Command(
    name = "train",
    description = {
      "Trains a model: pretrain makes a new one from text, sft teaches it to answer, dpo to answer"
          + " as is preferred, grpo to earn a reward. The configuration says all else; its keys and"
          + " their standard values are below.",
      "",
      "Checkpoints, metrics.jsonl and report.html, a page of curves and samples, are in"
          + " checkpoint.dir. Ctrl-C ends the training behind a checkpoint; --resume goes on, to the"
          + " same bytes."
    },
    footerHeading = "%nKeys of the configuration:%n",
    modelTransformer = Train.Keys.class)
public final class Train implements Runnable {
  private static final Duration PATIENCE = Duration.ofMinutes(10);

  @Parameters(
      index = "0",
      paramLabel = "STAGE",
      converter = StageName.class,
      description = "pretrain, sft, dpo or grpo.")
  private Stage stage;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      required = true,
      description = "What is done, in YAML.")
  private Path config;

  @Option(
      names = "--resume",
      description = "Goes on from the newest whole checkpoint; begins where there is none.")
  private boolean resume;

  @Mixin private BackendOptions backend;
  @Mixin private OutputOptions output;

  private final Console console;

  public Train(Console console) {
    this.console = console;
  }

  @Override
  public void run() {
    var file = new ConfigFile(config);
    TrainConfig settings = file.read(stage);
    try (var display =
            new TrainDisplay(
                console, output.json, output.quiet, settings, file.text(), backend.options());
        var _ = Interrupt.onStop(display::stop, PATIENCE)) {
      settings.notes().forEach(display::warn);
      switch (stage) {
        case PRETRAIN -> Pretrain.run(settings, resume, backend.options(), display);
        case SFT -> Sft.run(settings, resume, backend.options(), display);
        case DPO -> Dpo.run(settings, resume, backend.options(), display);
        case GRPO -> Grpo.run(settings, resume, backend.options(), display);
      }
    }
  }

  /** Tells all keys below the options. */
  static final class Keys implements IModelTransformer {
    private static final int WIDTH = 79;
    private static final String INDENT = " ".repeat(26);

    @Override
    public CommandSpec transform(CommandSpec spec) {
      spec.usageMessage()
          .footer(
              ConfigKeys.all().stream().flatMap(key -> lines(key).stream()).toArray(String[]::new));
      return spec;
    }

    private static List<String> lines(ConfigKey key) {
      String standard = key.standardText();
      String about = key.about() + (standard.isEmpty() ? "" : " [" + standard + "]");
      var lines = new ArrayList<String>();
      var line = new StringBuilder(String.format("  %-23s", key.path()));
      for (String word : about.split(" ")) {
        if (line.length() + 1 + word.length() > WIDTH) {
          lines.add(line.toString());
          line = new StringBuilder(INDENT);
        }
        line.append(' ').append(word);
      }
      lines.add(line.toString());
      lines.replaceAll(text -> text.replace("%", "%%"));
      return lines;
    }
  }

  private static final class StageName implements ITypeConverter<Stage> {
    @Override
    public Stage convert(String value) {
      return Arrays.stream(Stage.values())
          .filter(stage -> stage.word().equals(value))
          .findFirst()
          .orElseThrow(
              () ->
                  new TypeConversionException(
                      "expected pretrain, sft, dpo or grpo, found '" + value + "'"));
    }
  }
}
