// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.generate.Event.Finished;
import dev.tokamak.generate.Event.Refused;
import dev.tokamak.generate.Event.Token;
import dev.tokamak.model.Model;
import dev.tokamak.testing.Seeds;
import dev.tokamak.testing.TinyModel;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class BatcherTest {
  static List<String> backends() {
    return Models.backends();
  }

  private record Request(int[] prompt, GenerateOptions options) {}

  private static Request request(RandomGenerator random) {
    int[] prompt = random.ints(random.nextInt(1, 90), 0, TinyModel.VOCABULARY).toArray();
    SamplerOptions sampler =
        SamplerOptions.defaults()
            .withTemp(random.nextInt(3) * 0.5)
            .withRepeatPenalty(random.nextBoolean() ? 1 : 1.1)
            .withSeed(random.nextLong());
    GenerateOptions options =
        GenerateOptions.of(sampler)
            .withMaxTokens(random.nextInt(1, 40))
            .withReceipt(random.nextBoolean());
    return new Request(prompt, random.nextBoolean() ? options.withLogprobs(2) : options);
  }

  /** What must not depend on company or chunks: all but the timings. */
  private record Outcome(
      List<Token> tokens, String text, FinishReason reason, Optional<String> sha256) {
    static Outcome of(Finished f) {
      return new Outcome(f.tokens(), f.text(), f.reason(), f.logitsSha256());
    }
  }

  private static Outcome alone(Model model, Request request, int chunk) {
    try (Session session = new Session(model, Capacity.of(model).withChunk(chunk))) {
      return Outcome.of(session.generate(request.prompt, request.options, token -> {}));
    }
  }

  private static List<Outcome> together(
      Model model, List<Request> requests, int chunk, int sequences) {
    Outcome[] outcomes = new Outcome[requests.size()];
    try (Batcher batcher =
        new Batcher(model, Capacity.of(model).withChunk(chunk).withSequences(sequences))) {
      for (int i = 0; i < outcomes.length; i++) {
        int index = i;
        batcher.submit(
            requests.get(i).prompt,
            requests.get(i).options,
            event -> {
              if (event instanceof Finished finished) {
                outcomes[index] = Outcome.of(finished);
              }
            });
      }
      batcher.run();
    }
    return List.of(outcomes);
  }

  /** The same tokens and the same bits: alone, in a batch, and in any chunks. */
  @ParameterizedTest
  @MethodSource("backends")
  void companyAndChunksChangeNothing(String backend) {
    Seeds.check(
        random -> {
          int count = backend.equals("cuda") ? 4 : 8; // the device may be an emulated one
          List<Request> requests =
              IntStream.range(0, count).mapToObj(i -> request(random)).toList();
          try (Model model = Models.tiny(backend)) {
            List<Outcome> expected =
                requests.stream().map(request -> alone(model, request, 512)).toList();
            for (int chunk : new int[] {1, 7, 64}) {
              assertThat(requests.stream().map(r -> alone(model, r, chunk)).toList())
                  .as("alone, chunk %d", chunk)
                  .isEqualTo(expected);
            }
            for (int chunk : new int[] {1, 7, 64, 512}) {
              assertThat(together(model, requests, chunk, count))
                  .as("batch of %d, chunk %d", count, chunk)
                  .isEqualTo(expected);
            }
            // More than there are places: they wait, and take places that were used before.
            assertThat(together(model, requests, 16, 3)).isEqualTo(expected);
          }
        });
  }

  @Test
  void refusalsComeAtOnceAndHarmNobody() {
    try (Model model = Models.tiny("auto");
        Batcher batcher = new Batcher(model, Capacity.of(model).withContext(8).withSequences(2))) {
      GenerateOptions greedy = GenerateOptions.of(SamplerOptions.greedy()).withIgnoreEos(true);
      List<Event> refused = new ArrayList<>();
      List<Event> ran = new ArrayList<>();
      batcher.submit(new int[9], greedy, refused::add);
      batcher.submit(new int[0], greedy, refused::add);
      batcher.submit(new int[] {320}, greedy, refused::add);
      batcher.submit("a", greedy, ran::add);
      assertThat(refused).hasSize(3).allMatch(Refused.class::isInstance);
      assertThat(refused.getFirst())
          .isEqualTo(
              new Refused(
                  "prompt: 9 tokens do not fit into the context of 8; "
                      + "shorten it, or make the context larger (--ctx)"));
      batcher.run();
      assertThat(ran).hasSize(8 - 3 + 1); // BOS, the space and the letter; the end
      assertThat(ran.getLast()).isInstanceOf(Finished.class);
    }
  }

  @Test
  void oneIsCancelledTheOthersGoOn() {
    try (Model model = Models.tiny("auto");
        Batcher batcher = new Batcher(model, Capacity.of(model).withContext(64).withSequences(2))) {
      GenerateOptions greedy = GenerateOptions.of(SamplerOptions.greedy()).withIgnoreEos(true);
      List<Finished> ends = new ArrayList<>();
      List<Generation> generations =
          IntStream.range(0, 4)
              .mapToObj(
                  i ->
                      batcher.submit(
                          new int[] {1, 300 + i},
                          greedy,
                          event -> {
                            if (event instanceof Finished end) {
                              ends.add(end);
                            }
                          }))
              .toList();
      batcher.step();
      generations.get(0).cancel();
      generations.get(2).cancel(); // still waits
      batcher.step();
      assertThat(ends)
          .extracting(Finished::reason)
          .containsExactly(FinishReason.CANCELLED, FinishReason.CANCELLED);
      assertThat(ends).extracting(end -> end.tokens().size()).containsExactly(1, 0);
      batcher.run();
      assertThat(ends)
          .extracting(Finished::reason)
          .endsWith(FinishReason.LENGTH, FinishReason.LENGTH);
      assertThat(generations).allMatch(Generation::finished);
    }
  }

  @Test
  void anInterruptCancelsAll() {
    try (Model model = Models.tiny("auto");
        Batcher batcher = new Batcher(model, Capacity.of(model).withContext(64).withSequences(2))) {
      List<Event> events = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        batcher.submit("a", GenerateOptions.of(SamplerOptions.greedy()), events::add);
      }
      Thread.currentThread().interrupt();
      batcher.run();
      assertThat(Thread.interrupted()).isTrue();
      assertThat(events)
          .hasSize(3)
          .allMatch(
              event -> event instanceof Finished end && end.reason() == FinishReason.CANCELLED);
    }
  }

  /** A listener's failure ends its own generation; the others' tokens come as they would have. */
  @Test
  void aListenerThatThrowsHarmsNobodyElse() {
    try (Model model = Models.tiny("auto");
        Batcher batcher = new Batcher(model, Capacity.of(model).withSequences(2))) {
      Seeds.check(
          random -> {
            Request other = request(random);
            Outcome expected = alone(model, other, 512);
            List<Outcome> outcome = new ArrayList<>();
            Generation failing =
                batcher.submit(
                    new int[] {1, 2},
                    other.options,
                    event -> {
                      throw new IllegalStateException("enough");
                    });
            batcher.submit(
                other.prompt,
                other.options,
                event -> {
                  if (event instanceof Finished finished) {
                    outcome.add(Outcome.of(finished));
                  }
                });
            assertThatThrownBy(batcher::run).hasMessage("enough");
            assertThat(failing.finished()).isTrue();
            batcher.run();
            assertThat(outcome).containsExactly(expected);
          });
    }
  }

  @Test
  void listenersMaySubmitMore() {
    try (Model model = Models.tiny("auto");
        Batcher batcher = new Batcher(model, Capacity.of(model))) {
      GenerateOptions one = GenerateOptions.of(SamplerOptions.greedy()).withMaxTokens(1);
      List<Event> later = new ArrayList<>();
      batcher.submit(
          "a",
          one,
          event -> {
            if (event instanceof Finished) {
              batcher.submit("b", one, later::add);
            }
          });
      batcher.run();
      assertThat(later).hasSize(2);
    }
  }
}
