// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.report;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.train.TrainEvent;
import dev.tokamak.train.TrainEvent.Sampled;
import dev.tokamak.train.TrainEvent.Started;
import dev.tokamak.train.TrainEvent.Step;
import dev.tokamak.train.TrainEvent.Validated;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The page and the metrics of a training are what happened, and nothing of it breaks them. */
class TrainPageTest {
  private static final String NASTY = "</script><script>alert(1)</script> & \"<b>\" \u2028 🎈";

  @TempDir private Path folder;

  private static Started started(long resumedAt) {
    return new Started("sft", "cpu (" + NASTY + ")", 1000, 100, 5000, 4000, resumedAt, 50);
  }

  private static Step step(long step, double loss) {
    return new Step(step, loss, 1e-3, 0.5, 256, 0.1, Map.of("accuracy", 0.25));
  }

  private static String page(List<TrainEvent> events) {
    var log = new TrainLog();
    events.forEach(log::accept);
    return TrainPage.html(log, OptionalDouble.of(0.4), NASTY);
  }

  private static JsonNode data(String page) {
    Matcher json = Pattern.compile("id=\"data\">(.*?)</script>", Pattern.DOTALL).matcher(page);
    assertThat(json.find()).isTrue();
    return JsonMapper.shared().readTree(json.group(1));
  }

  @Test
  void textsOfModelsAndUsersAreTexts() {
    String page =
        page(
            List.of(
                started(0),
                step(1, Double.NaN),
                new Sampled(1, NASTY, NASTY),
                new Validated(1, 2, OptionalDouble.of(1), Map.of(NASTY, 1.0))));
    assertThat(page).doesNotContain("alert(1)</script>").contains("&lt;/script&gt;");
    // The styles' and scripts' own elements, and no more.
    assertThat(page.split("<script", -1)).hasSize(3);
    JsonNode loss = data(page).get("charts").get(0).get("lines").get(0);
    assertThat(loss.get("y").get(0).isNull()).isTrue();
  }

  @Test
  void nothingIsFetched() {
    String page = page(List.of(started(0), step(1, 2)));
    assertThat(page)
        .doesNotContain("<link", " src=", "@import", "fetch(", "XMLHttpRequest")
        .contains("default-src 'none'");
  }

  @Test
  void manyStepsAreThinnedAndSmoothed() {
    var log = new TrainLog();
    log.accept(started(0));
    for (int i = 1; i <= 10_000; i++) {
      log.accept(step(i, i % 2 == 0 ? 1 : 3));
    }
    JsonNode lines =
        data(TrainPage.html(log, OptionalDouble.empty(), "")).get("charts").get(0).get("lines");
    assertThat(lines).hasSize(2);
    JsonNode smooth = lines.get(1);
    assertThat(smooth.get("x").size()).isBetween(1000, 1500).isEqualTo(smooth.get("y").size());
    assertThat(smooth.get("x").get(smooth.get("x").size() - 1).asInt()).isEqualTo(10_000);
    for (JsonNode value : smooth.get("y")) {
      assertThat(value.asDouble()).isBetween(1.9, 2.1);
    }
  }

  @Test
  void aPageOfNothingIsAPage() {
    assertThat(page(List.of(started(0)))).contains("<h1>sft: step 0 of 50</h1>");
  }

  @Test
  void metricsOfStepsThatAreDoneAgainAreTakenOut() throws IOException {
    Path file = folder.resolve("metrics.jsonl");
    var first = new TrainLog();
    try (var metrics = new Metrics(file, first)) {
      metrics.accept(started(0));
      for (int i = 1; i <= 5; i++) {
        metrics.accept(step(i, i));
        metrics.accept(new Validated(i, i, OptionalDouble.of(i), Map.of("reward", 0.5)));
        metrics.accept(new Sampled(i, "a", NASTY));
      }
    }
    Files.write(file, new byte[] {(byte) 0xff, (byte) 0xfe, '\n'}, StandardOpenOption.APPEND);
    Files.writeString(file, "{\"step\": 6, \"lo", StandardOpenOption.APPEND); // killed while writing
    var resumed = new TrainLog();
    try (var metrics = new Metrics(file, resumed)) {
      metrics.accept(started(3));
      metrics.accept(step(4, 44));
    }
    assertThat(resumed.steps()).containsExactly(step(1, 1), step(2, 2), step(3, 3));
    assertThat(resumed.looks().getLast())
        .isEqualTo(new Validated(3, 3, OptionalDouble.of(3), Map.of("reward", 0.5)));
    assertThat(resumed.samples().getLast()).isEqualTo(new Sampled(3, "a", NASTY));
    List<String> lines = Files.readAllLines(file);
    assertThat(lines).hasSize(10);
    assertThat(lines.getLast()).contains("\"step\":4", "44");
    try (var metrics = new Metrics(file, new TrainLog())) {
      metrics.accept(started(0));
    }
    assertThat(file).isEmptyFile();
  }
}
