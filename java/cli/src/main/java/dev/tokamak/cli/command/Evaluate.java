// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Console;
import dev.tokamak.cli.Failure;
import dev.tokamak.cli.Interrupt;
import dev.tokamak.cli.Json;
import dev.tokamak.cli.report.ChartPage;
import dev.tokamak.generate.Batcher;
import dev.tokamak.generate.Capacity;
import dev.tokamak.generate.Event;
import dev.tokamak.generate.GenerateOptions;
import dev.tokamak.generate.Likelihood;
import dev.tokamak.generate.SamplerOptions;
import dev.tokamak.generate.evaluate.BitsPerByte;
import dev.tokamak.generate.evaluate.Choices;
import dev.tokamak.generate.evaluate.FewShot;
import dev.tokamak.generate.evaluate.Pairs;
import dev.tokamak.generate.evaluate.SyntheticTasks;
import dev.tokamak.model.Model;
import dev.tokamak.model.chat.ChatTemplate;
import dev.tokamak.train.data.Question;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import tools.jackson.core.JsonGenerator;

/** How good a model is at a task. */
@Command(
    name = "evaluate",
    description = {
      "Measures a model at a task:",
      "bpb: bits per byte of texts (documents parted by <|endoftext|>, or JSON lines with text)",
      "choice: multiple choice by log-likelihood; lines with question, choices, answer",
      "pairs: minimal pairs; lines with sentence_good, sentence_bad (a folder: all .jsonl in it)",
      "verify: what the model writes, checked by rule; lines with prompt or messages, and words,"
          + " number, pattern or exact",
      "icl: accuracy by the number of examples shown; lines with task, input, output; without"
          + " --data, tasks of its own"
    },
    modelTransformer = SamplingOptions.Added.class)
public final class Evaluate implements Runnable {
  /** What can be measured. */
  enum Task {
    bpb,
    choice,
    pairs,
    verify,
    icl
  }

  @Option(
      names = "--task",
      required = true,
      paramLabel = "TASK",
      description = "What is measured: ${COMPLETION-CANDIDATES}.")
  private Task task;

  @Option(
      names = "--data",
      paramLabel = "FILE",
      description = "Its cases; .gz too; may be given several times.")
  private List<Path> data = new ArrayList<>();

  @Option(
      names = "--limit",
      paramLabel = "N",
      converter = Whole.class,
      description = "Takes only the first N cases.")
  private Integer limit;

  @Option(
      names = "-n",
      paramLabel = "N",
      defaultValue = "256",
      converter = Whole.class,
      description = "verify: tokens of an answer, at most; by default ${DEFAULT-VALUE}.")
  private int answerTokens;

  @Option(
      names = "--examples",
      paramLabel = "K",
      split = ",",
      defaultValue = "0,1,2,4,8,16",
      converter = Whole.OrZero.class,
      description = "icl: numbers of examples shown; by default ${DEFAULT-VALUE}.")
  private List<Integer> examples;

  @Option(
      names = "--questions",
      paramLabel = "N",
      defaultValue = "50",
      converter = Whole.class,
      description = "icl: questions for each task and number; by default ${DEFAULT-VALUE}.")
  private int questions;

  @Option(
      names = "--parallel",
      paramLabel = "N",
      defaultValue = "16",
      converter = Whole.class,
      description = "verify, icl: answers written at once; by default ${DEFAULT-VALUE}.")
  private int parallel;

  @Option(
      names = "--plot",
      paramLabel = "FILE.html",
      description = "icl: draws accuracy by examples, on a page.")
  private Path plot;

  @Mixin private TemplateOption template;
  @Mixin private ModelArguments arguments;
  @Spec private CommandSpec command;

  private final Console console;

  public Evaluate(Console console) {
    this.console = console;
  }

  /** Right answers of a group. */
  private static final class Count {
    int n;
    int right;
    int rightByLength;

    double accuracy() {
      return (double) right / n;
    }
  }

  @Override
  public void run() {
    if (data.isEmpty() && task != Task.icl) {
      throw new ParameterException(command.commandLine(), "missing --data FILE for task " + task);
    }
    if (plot != null && task != Task.icl) {
      throw new ParameterException(command.commandLine(), "--plot goes with task icl");
    }
    switch (task) {
      case bpb -> bitsPerByte();
      case choice -> choice();
      case pairs -> pairs();
      case verify -> verify();
      case icl -> inContext();
    }
  }

  private void bitsPerByte() {
    List<String> documents = limited(EvaluationCases.documents(data));
    List<BitsPerByte> results;
    try (Model model = arguments.open(console);
        var likelihood = likelihood(model);
        var progress = progress("documents")) {
      results = BitsPerByte.of(likelihood, documents, progress::at);
    }
    BitsPerByte total = BitsPerByte.total(results);
    report(
        json -> {
          json.writeNumberProperty("n", results.size());
          json.writeNumberProperty("bits_per_byte", total.value());
          json.writeNumberProperty("bytes", total.bytes());
          json.writeNumberProperty("tokens", total.tokens());
        },
        results,
        (json, result) -> {
          json.writeNumberProperty("bits_per_byte", result.value());
          json.writeNumberProperty("bytes", result.bytes());
          json.writeNumberProperty("tokens", result.tokens());
        });
    print(
        "%.4f bits per byte; %d documents, %d bytes, %d tokens%n",
        total.value(), results.size(), total.bytes(), total.tokens());
  }

  private void choice() {
    List<Choices.Item> items = limited(EvaluationCases.choices(data));
    List<Choices.Answer> answers;
    try (Model model = arguments.open(console);
        var likelihood = likelihood(model);
        var progress = progress("choices")) {
      answers = Choices.answer(likelihood, items, progress::at);
    }
    Map<String, Count> groups = new LinkedHashMap<>();
    var all = new Count();
    long cut = answers.stream().filter(Choices.Answer::cut).count();
    for (int i = 0; i < items.size(); i++) {
      int gold = items.get(i).gold();
      for (Count count :
          List.of(all, groups.computeIfAbsent(items.get(i).group(), _ -> new Count()))) {
        count.n++;
        count.right += answers.get(i).chosen() == gold ? 1 : 0;
        count.rightByLength += answers.get(i).chosenByLength() == gold ? 1 : 0;
      }
    }
    if (cut > 0) {
      console.err().println(
          "warning: " + cut + " of " + items.size()
              + " questions are longer than the context and lost their beginning");
    }
    report(
        json -> writeChoice(json, all),
        List.copyOf(groups.entrySet()),
        (json, group) -> {
          json.writeStringProperty("group", group.getKey());
          writeChoice(json, group.getValue());
        });
    groups.forEach((name, count) -> printChoice(name, count));
    if (groups.size() > 1) {
      printChoice("all", all);
    }
  }

  private static void writeChoice(JsonGenerator json, Count count) {
    json.writeNumberProperty("n", count.n);
    json.writeNumberProperty("accuracy", count.accuracy());
    json.writeNumberProperty("acc", count.accuracy());
    json.writeNumberProperty("acc_norm", (double) count.rightByLength / count.n);
  }

  private void printChoice(String name, Count count) {
    print(
        "%-40s acc %.4f, acc_norm %.4f of %d%n",
        name, count.accuracy(), (double) count.rightByLength / count.n, count.n);
  }

  private void pairs() {
    List<Pairs.Item> items = limited(EvaluationCases.pairs(data));
    BitSet right;
    try (Model model = arguments.open(console);
        var likelihood = likelihood(model);
        var progress = progress("sentences")) {
      right = Pairs.right(likelihood, items, progress::at);
    }
    Map<String, Count> groups = new LinkedHashMap<>();
    for (int i = 0; i < items.size(); i++) {
      Count count = groups.computeIfAbsent(items.get(i).group(), _ -> new Count());
      count.n++;
      count.right += right.get(i) ? 1 : 0;
    }
    double accuracy = (double) right.cardinality() / items.size();
    report(
        json -> {
          json.writeNumberProperty("n", items.size());
          json.writeNumberProperty("accuracy", accuracy);
        },
        List.copyOf(groups.entrySet()),
        (json, group) -> {
          json.writeStringProperty("group", group.getKey());
          json.writeNumberProperty("n", group.getValue().n);
          json.writeNumberProperty("accuracy", group.getValue().accuracy());
        });
    groups.forEach(
        (name, count) -> print("%-56s %.4f of %d%n", name, count.accuracy(), count.n));
    print("%-56s %.4f of %d%n", "all", accuracy, items.size());
  }

  private void verify() {
    List<Question> cases = limited(EvaluationCases.questions(data));
    String[] answers = new String[cases.size()];
    try (Model model = arguments.open(console);
        var batcher = batcher(model);
        var progress = progress("answers");
        var _ = Interrupt.onStop(Thread.currentThread()::interrupt)) {
      SamplerOptions sampler =
          SamplingOptions.of(command, SamplerOptions.greedy()).withSeed(arguments.seed);
      GenerateOptions options = GenerateOptions.of(sampler).withMaxTokens(answerTokens);
      int[] done = new int[1];
      for (int i = 0; i < answers.length; i++) {
        int number = i;
        batcher.submit(
            tokens(model, cases.get(i)),
            // Each answer draws from a state of its own, so that it is the same in any company.
            options.withSampler(sampler.withSeed(arguments.seed + i)),
            event -> {
              switch (event) {
                case Event.Token _ -> {}
                case Event.Refused refused ->
                    throw new Failure(data.getFirst() + ": case " + (number + 1) + ": "
                        + refused.problem());
                case Event.Finished answer -> {
                  answers[number] = answer.text();
                  progress.at(++done[0], answers.length);
                }
              }
            });
      }
      batcher.run();
    }
    if (Thread.currentThread().isInterrupted()) {
      return;
    }
    List<Integer> numbers = new ArrayList<>();
    int right = 0;
    for (int i = 0; i < answers.length; i++) {
      numbers.add(i);
      right += cases.get(i).rule().accepts(answers[i]) ? 1 : 0;
    }
    double accuracy = (double) right / answers.length;
    report(
        json -> {
          json.writeNumberProperty("n", answers.length);
          json.writeNumberProperty("accuracy", accuracy);
        },
        numbers,
        (json, i) -> {
          json.writeStringProperty("prompt", cases.get(i).text());
          json.writeStringProperty("answer", answers[i]);
          json.writeBooleanProperty("right", cases.get(i).rule().accepts(answers[i]));
        });
    print("%.4f of %d answers satisfy their rule%n", accuracy, answers.length);
  }

  private int[] tokens(Model model, Question question) {
    if (question.prompt().isPresent()) {
      return model.tokenizer().encode(question.prompt().get(), true, false);
    }
    ChatTemplate chat =
        template.of(model, arguments.name(), "give cases with prompt, which is taken as it is");
    String text = chat.render(question.messages(), List.of(), true, Clock.systemDefaultZone());
    return ChatTemplate.encode(model.tokenizer(), text);
  }

  private void inContext() {
    List<FewShot.Task> tasks =
        limited(data.isEmpty() ? SyntheticTasks.all() : EvaluationCases.tasks(data));
    List<FewShot.Accuracy> results;
    try (Model model = arguments.open(console);
        var batcher = batcher(model);
        var progress = progress("tasks");
        var _ = Interrupt.onStop(Thread.currentThread()::interrupt)) {
      results =
          FewShot.measure(batcher, tasks, examples, questions, arguments.seed, progress::at);
    }
    if (results.isEmpty()) {
      throw new Failure("--examples: every task has fewer examples than these");
    }
    Map<Integer, Count> byExamples = new TreeMap<>();
    var all = new Count();
    for (FewShot.Accuracy result : results) {
      for (Count count :
          List.of(all, byExamples.computeIfAbsent(result.examples(), _ -> new Count()))) {
        count.n += result.n();
        count.right += result.right();
      }
    }
    List<FewShot.Accuracy> rows = new ArrayList<>();
    byExamples.forEach(
        (shown, count) -> rows.add(new FewShot.Accuracy("all", shown, count.right, count.n)));
    rows.addAll(results);
    if (plot != null) {
      draw(rows);
    }
    report(
        json -> {
          json.writeNumberProperty("n", all.n);
          json.writeNumberProperty("accuracy", all.accuracy());
        },
        rows,
        (json, row) -> {
          json.writeStringProperty("name", row.task());
          json.writeNumberProperty("examples", row.examples());
          json.writeNumberProperty("n", row.n());
          json.writeNumberProperty("accuracy", row.value());
        });
    for (FewShot.Accuracy row : rows) {
      print(
          "%-24s %3d examples  %.4f of %d%n", row.task(), row.examples(), row.value(), row.n());
    }
  }

  private void draw(List<FewShot.Accuracy> rows) {
    Map<String, List<FewShot.Accuracy>> tasks = new LinkedHashMap<>();
    rows.forEach(row -> tasks.computeIfAbsent(row.task(), _ -> new ArrayList<>()).add(row));
    List<ChartPage.Chart> charts = new ArrayList<>();
    tasks.forEach(
        (name, points) ->
            charts.add(
                new ChartPage.Chart(
                    name,
                    "examples shown",
                    false,
                    List.of(
                        new ChartPage.Line(
                            "accuracy",
                            points.stream().mapToDouble(FewShot.Accuracy::examples).toArray(),
                            points.stream().mapToDouble(FewShot.Accuracy::value).toArray(),
                            ChartPage.Look.DOTS)))));
    String page =
        new ChartPage("Learning from examples", arguments.name()).charts(charts).html();
    try {
      Files.writeString(plot, page);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    if (!arguments.output.quiet) {
      console.err().println("plot: " + plot);
    }
  }

  private <T> List<T> limited(List<T> cases) {
    return limit == null || limit >= cases.size() ? cases : cases.subList(0, limit);
  }

  private Likelihood likelihood(Model model) {
    Capacity capacity = arguments.capacity(model);
    arguments.announce(console, model, capacity);
    return new Likelihood(model, capacity);
  }

  private Batcher batcher(Model model) {
    Capacity capacity = arguments.capacity(model).withSequences(parallel);
    arguments.announce(console, model, capacity);
    return new Batcher(model, capacity);
  }

  private ProgressLine progress(String unit) {
    return ProgressLine.pieces(console, arguments.output.quiet, task.name(), unit);
  }

  private interface RowWriter<T> {
    void write(JsonGenerator json, T row);
  }

  private <T> void report(
      Consumer<JsonGenerator> measures, List<T> rows, RowWriter<T> writer) {
    if (!arguments.output.json) {
      return;
    }
    Json.line(
        console.out(),
        json -> {
          json.writeStringProperty("task", task.name());
          measures.accept(json);
          json.writeName("rows");
          json.writeStartArray();
          for (T row : rows) {
            json.writeStartObject();
            writer.write(json, row);
            json.writeEndObject();
          }
          json.writeEndArray();
        });
  }

  private void print(String format, Object... values) {
    if (!arguments.output.json) {
      console.out().print(String.format(Locale.ROOT, format, values));
    }
  }
}
