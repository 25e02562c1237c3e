// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import dev.tokamak.cli.command.Batch;
import dev.tokamak.cli.command.Bench;
import dev.tokamak.cli.command.BenchKernels;
import dev.tokamak.cli.command.BenchTrain;
import dev.tokamak.cli.command.Chat;
import dev.tokamak.cli.command.Detokenize;
import dev.tokamak.cli.command.Devices;
import dev.tokamak.cli.command.Evaluate;
import dev.tokamak.cli.command.Inspect;
import dev.tokamak.cli.command.Merge;
import dev.tokamak.cli.command.Perplexity;
import dev.tokamak.cli.command.Predict;
import dev.tokamak.cli.command.Quantize;
import dev.tokamak.cli.command.Render;
import dev.tokamak.cli.command.Run;
import dev.tokamak.cli.command.Tokenize;
import dev.tokamak.cli.command.Train;
import dev.tokamak.train.Spelling;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.channels.ClosedByInterruptException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.MaxValuesExceededException;
import picocli.CommandLine.MissingParameterException;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/** The list of commands, and what becomes of their failures. */
@Command(
    name = "tokamak",
    description = "The JVM's own large-language-model runtime.",
    version = "tokamak 0.1.0-SNAPSHOT",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    footer = {"", "tokamak COMMAND --help tells a command's options."})
public final class Main {
  /** The work is done. */
  static final int DONE = 0;

  /** The work failed. */
  static final int FAILED = 1;

  /** The command line was wrong. */
  static final int USAGE = 2;

  /** Ctrl-C, as shells count it. */
  static final int INTERRUPTED = 130;

  private static final Map<String, Function<Console, Object>> COMMANDS = commands();

  private static Map<String, Function<Console, Object>> commands() {
    var commands = new LinkedHashMap<String, Function<Console, Object>>();
    commands.put("run", Run::new);
    commands.put("chat", Chat::new);
    commands.put("batch", Batch::new);
    commands.put("predict", Predict::new);
    commands.put("perplexity", Perplexity::new);
    commands.put("evaluate", Evaluate::new);
    commands.put("bench", Bench::new);
    commands.put("bench kernels", BenchKernels::new);
    commands.put("bench train", BenchTrain::new);
    commands.put("tokenize", Tokenize::new);
    commands.put("detokenize", Detokenize::new);
    commands.put("render", Render::new);
    commands.put("train", Train::new);
    commands.put("inspect", Inspect::new);
    commands.put("merge", Merge::new);
    commands.put("quantize", Quantize::new);
    commands.put("devices", Devices::new);
    commands.put("help", _ -> new HelpCommand());
    commands.put("generate-completion", _ -> new AutoComplete.GenerateCompletion());
    return commands;
  }

  private Main() {}

  public static void main(String[] arguments) {
    // JLine would write questions to the terminal at each start, which not every terminal answers.
    System.setProperty("org.jline.terminal.graphemeCluster", "false");
    Console console = Console.ofProcess();
    int status = execute(console, arguments);
    Interrupt.finished();
    System.exit(status);
  }

  /** Runs one command line and returns the exit status. */
  static int execute(Console console, String... arguments) {
    try {
      CommandLine line = line(console, arguments);
      checkValues(line, arguments);
      int status = line.execute(arguments);
      line.getOut().flush();
      console.out().flush();
      return status;
    } catch (ParameterException e) {
      return misused(console, e);
    } catch (IOException | RuntimeException | Error e) {
      return fail(console, e, isDebug(arguments));
    }
  }

  private static CommandLine line(Console console, String[] arguments) {
    CommandLine line = new CommandLine(new Main());
    // Building a command's model costs as much as a small command's work: only the one asked for.
    boolean one = arguments.length > 0 && COMMANDS.containsKey(arguments[0]);
    boolean all = !one || List.of("help", "generate-completion").contains(arguments[0]);
    boolean two =
        arguments.length > 1 && COMMANDS.containsKey(arguments[0] + " " + arguments[1]);
    COMMANDS.forEach(
        (name, command) -> {
          String[] words = name.split(" ");
          if (!all && !words[0].equals(arguments[0])) {
            return;
          }
          if (words.length == 2) {
            line.getSubcommands().get(words[0])
                .addSubcommand(words[1], new CommandLine(command.apply(console)));
          } else {
            // picocli would ask for what the command above needs, a model say.
            line.addSubcommand(
                name, new CommandLine(two ? CommandSpec.create() : command.apply(console)));
          }
        });
    return line.setOut(new PrintWriter(console.out(), false, StandardCharsets.UTF_8))
        .setErr(new PrintWriter(console.err(), true))
        .setColorScheme(
            CommandLine.Help.defaultColorScheme(console.colour() ? Ansi.ON : Ansi.OFF))
        .setUsageHelpAutoWidth(false)
        .setExpandAtFiles(false)
        .setAllowOptionsAsOptionParameters(true)
        .setPosixClusteredShortOptionsAllowed(false)
        .setExecutionStrategy(Main::run)
        .setParameterExceptionHandler((e, _) -> misused(console, e))
        .setExecutionExceptionHandler(
            (e, _, _) -> fail(console, e, isDebug(arguments)));
  }

  /** Runs the last command; options of those above it would do nothing, so they are refused. */
  private static int run(ParseResult parsed) {
    for (ParseResult at = parsed; at.hasSubcommand(); at = at.subcommand()) {
      boolean asked = at.isUsageHelpRequested() || at.isVersionHelpRequested();
      if (!asked && !at.matchedOptions().isEmpty()) {
        CommandSpec below = at.subcommand().commandSpec();
        throw new ParameterException(
            below.commandLine(),
            "option " + at.matchedOptions().getFirst().longestName() + " before " + below.name()
                + " does nothing: those of " + below.qualifiedName() + " stand behind it");
      }
    }
    return new CommandLine.RunLast().execute(parsed);
  }

  /**
   * Looks for options without their values. picocli would take any value that begins like an option,
   * {@code -p -hello}, for a missing one; here only an option's full name is.
   */
  private static void checkValues(CommandLine line, String[] arguments) {
    CommandLine command = arguments.length == 0 ? null : line.getSubcommands().get(arguments[0]);
    if (command == null) {
      return;
    }
    int first = 1;
    if (arguments.length > 1 && !command.getSubcommands().isEmpty()) {
      CommandLine below = command.getSubcommands().get(arguments[1]);
      if (below != null) {
        command = below;
        first = 2;
      } else if (!arguments[1].startsWith("-")) {
        // picocli would rather ask for what the command above needs
        throw new UnmatchedArgumentException(command, List.of(arguments[1]));
      }
    }
    CommandSpec spec = command.getCommandSpec();
    for (int i = first; i < arguments.length; i++) {
      OptionSpec option = spec.findOption(arguments[i]);
      if (option == null || option.arity().min() == 0) {
        continue;
      }
      i++;
      if (i == arguments.length || spec.findOption(arguments[i]) != null) {
        throw new MissingParameterException(
            command,
            option,
            "missing value: " + arguments[i - 1] + " " + option.paramLabel()
                + (i == arguments.length ? "" : ", found option " + arguments[i]));
      }
    }
  }

  private static int misused(Console console, ParameterException e) {
    String command = e.getCommandLine().getCommandSpec().qualifiedName();
    console.err().println(
        "tokamak: " + Visible.line(problem(e)) + " (" + command + " --help shows how)");
    return USAGE;
  }

  private static String problem(ParameterException e) {
    if (e instanceof UnmatchedArgumentException unmatched) {
      String argument = unmatched.getUnmatched().getFirst();
      CommandSpec command = e.getCommandLine().getCommandSpec();
      boolean option = argument.startsWith("-");
      Set<String> known = option ? command.optionsMap().keySet() : command.subcommands().keySet();
      String kind = option ? "option " : known.isEmpty() ? "argument " : "command ";
      return "unknown " + kind + Visible.quoted(argument)
          + Spelling.nearest(argument, known).map(near -> "; did you mean " + near + "?").orElse("");
    }
    String message = e.getMessage().replaceFirst("^Error: ", "");
    if (message.equals("Missing required subcommand")) {
      return "no command given";
    }
    if (message.startsWith("Missing required option")
        && e instanceof MissingParameterException missing
        && missing.getMissing().getFirst() instanceof OptionSpec option) {
      return "missing " + option.longestName() + " " + option.paramLabel() + ": "
          + option.description()[0];
    }
    if (e instanceof MaxValuesExceededException) {
      // picocli lists every group with every value
      message =
          message.replaceFirst(
              "^expected only one match but got [\\[(](.*?)[\\])]=.*", "give only one of $1");
    }
    return message.substring(0, 1).toLowerCase(Locale.ROOT)
        + message.substring(1).replaceFirst(" is not an? (int|long)$", " is not a whole number");
  }

  private static boolean isDebug(String[] arguments) {
    return List.of(arguments).contains("--debug");
  }

  private static int fail(Console console, Throwable thrown, boolean debug) {
    for (Throwable at = thrown; at != null; at = at.getCause()) {
      if (at instanceof StandardOutput.ClosedException closed && closed.readerGone()) {
        return DONE; // who reads has read enough
      }
      if (at instanceof ClosedByInterruptException) {
        return INTERRUPTED;
      }
    }
    if (debug) {
      thrown.printStackTrace(console.err());
    }
    console.err().println("tokamak: " + Failure.line(thrown));
    return FAILED;
  }
}
