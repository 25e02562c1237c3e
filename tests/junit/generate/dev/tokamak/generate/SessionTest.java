// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.tokamak.backend.NotFiniteException;
import dev.tokamak.generate.Event.Finished;
import dev.tokamak.generate.Event.Token;
import dev.tokamak.model.Model;
import dev.tokamak.testing.TinyModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Sessions on a model with random weights, on this machine's best backend. */
class SessionTest {
  private static final int[] PROMPT = {1, 300, 290, 260, 301};
  private static final GenerateOptions GREEDY =
      GenerateOptions.of(SamplerOptions.greedy()).withIgnoreEos(true);

  private static Model model;

  @BeforeAll
  static void open() {
    model = Models.tiny("auto");
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static Session session(int context) {
    return new Session(model, Capacity.of(model).withContext(context));
  }

  private static int[] ids(Finished finished) {
    return finished.tokens().stream().mapToInt(Token::id).toArray();
  }

  /** A program that embeds it, as the documentation shows it. */
  @Test
  void theExampleRuns(@TempDir Path folder) throws IOException {
    Path file = TinyModel.write(folder.resolve("model.gguf"), 1);
    StringBuilder out = new StringBuilder();
    try (var model = Model.open(file);
        var session = new Session(model)) {
      session.generate(
          "Once upon a time", SamplerOptions.greedy(), token -> out.append(token.text()));
      assertThat(session.capacity().context()).isEqualTo(TinyModel.CONTEXT);
      assertThat(session.tokens()).startsWith(1, 259);
    }
    assertThat(out).isNotEmpty();
  }

  @Test
  void everyTokenIsTheLikeliest() {
    try (Session session = session(64);
        Scorer scorer = new Scorer(model, Capacity.of(model))) {
      List<Token> heard = new ArrayList<>();
      Finished finished =
          session.generate(PROMPT, GREEDY.withMaxTokens(20).withLogprobs(3), heard::add);
      assertThat(finished.tokens()).isEqualTo(heard).hasSize(20);
      assertThat(finished.reason()).isEqualTo(FinishReason.LENGTH);
      assertThat(finished.prompt()).containsExactly(1, 300, 290, 260, 301);
      for (int i = 0; i < 20; i++) {
        int[] before = Arrays.copyOf(session.tokens(), PROMPT.length + i);
        Prediction expected = scorer.predict(before, 3);
        assertThat(heard.get(i).logprobs().orElseThrow().top()).isEqualTo(expected.top());
        assertThat(heard.get(i).logprobs().orElseThrow().chosen())
            .isEqualTo(expected.top().getFirst());
        assertThat(heard.get(i).id()).isEqualTo(expected.top().getFirst().id());
      }
      assertThat(finished.text())
          .isEqualTo(String.join("", heard.stream().map(Token::text).toList()));
      assertThat(finished.timings().decodeTokensPerSecond()).isPositive();
      assertThat(finished.timings().prefillTokensPerSecond()).isPositive();
      assertThat(finished.timings().firstTokenMillis()).isPositive();
    }
  }

  @Test
  void goesOnWhereItStopped() {
    GenerateOptions options =
        GREEDY.withSampler(SamplerOptions.defaults().withSeed(3).withRepeatPenalty(1.2));
    int[] whole;
    try (Session session = session(64)) {
      session.generate(PROMPT, options.withMaxTokens(30), token -> {});
      whole = session.tokens();
    }
    try (Session session = session(64)) {
      session.generate(PROMPT, options.withMaxTokens(7), token -> {});
      session.generate(new int[0], options.withMaxTokens(0), token -> {});
      session.generate(new int[0], options.withMaxTokens(11), token -> {});
      session.generate(new int[0], options.withMaxTokens(12), token -> {});
      assertThat(session.tokens()).isEqualTo(whole);
      session.truncate(PROMPT.length + 10);
      session.generate(new int[0], options.withMaxTokens(20), token -> {});
      assertThat(session.tokens()).isEqualTo(whole);
      session.truncate(0);
      session.generate(PROMPT, options.withMaxTokens(30), token -> {});
      assertThat(session.tokens()).isEqualTo(whole);
    }
  }

  @Test
  void aSecondPromptFollowsTheFirstAnswer() {
    try (Session session = session(128);
        Session other = session(128)) {
      session.generate("Hi", GREEDY.withMaxTokens(5), token -> {});
      int[] before = session.tokens();
      Finished second = session.generate(" you", GREEDY.withMaxTokens(5), token -> {});
      assertThat(second.prompt()).isNotEmpty().doesNotContain(1); // BOS comes once
      int[] all =
          IntStream.concat(Arrays.stream(before), second.prompt().stream().mapToInt(i -> i))
              .toArray();
      assertThat(ids(other.generate(all, GREEDY.withMaxTokens(5), token -> {})))
          .isEqualTo(ids(second));
    }
  }

  @Test
  void endsWhereTheContextIsFull() {
    try (Session session = session(17)) {
      Finished finished = session.generate(PROMPT, GREEDY, token -> {});
      assertThat(finished.reason()).isEqualTo(FinishReason.LENGTH);
      assertThat(finished.tokens()).hasSize(12);
      assertThat(session.length()).isEqualTo(17);
      Finished nothing = session.generate(new int[0], GREEDY, token -> {});
      assertThat(nothing.reason()).isEqualTo(FinishReason.LENGTH);
      assertThat(nothing.tokens()).isEmpty();
      assertThatThrownBy(() -> session.generate(new int[] {300}, GREEDY, token -> {}))
          .isInstanceOf(PromptException.class)
          .hasMessageContaining("1 tokens after 17 others")
          .hasMessageContaining("17");
    }
  }

  @Test
  void aPromptThatCannotRunIsRefusedAndNothingChanges() {
    try (Session session = session(4)) {
      assertThatThrownBy(() -> session.generate(PROMPT, GREEDY, token -> {}))
          .isInstanceOf(PromptException.class)
          .hasMessage(
              "prompt: 5 tokens do not fit into the context of 4; "
                  + "shorten it, or make the context larger (--ctx)");
      assertThatThrownBy(() -> session.generate(new int[0], GREEDY, token -> {}))
          .isInstanceOf(PromptException.class)
          .hasMessageStartingWith("prompt: empty");
      for (int token : new int[] {-1, TinyModel.VOCABULARY}) {
        assertThatThrownBy(() -> session.generate(new int[] {token}, GREEDY, t -> {}))
            .isInstanceOf(PromptException.class)
            .hasMessage("prompt: expected tokens from 0 to 319, found " + token);
      }
      assertThat(session.length()).isZero();
      assertThat(session.generate(new int[] {1, 2, 3, 4}, GREEDY, token -> {}).tokens()).isEmpty();
    }
  }

  @Test
  void endTokensEndItUnlessIgnored() {
    GenerateOptions wild =
        GenerateOptions.of(
            SamplerOptions.defaults().withTemp(1000).withTopK(0).withTopP(1).withMinP(0));
    boolean seen = false;
    for (int seed = 0; seed < 20 && !seen; seed++) {
      GenerateOptions options = wild.withSampler(wild.sampler().withSeed(seed));
      try (Session session = session(256)) {
        Finished finished = session.generate(PROMPT, options, token -> {});
        seen = finished.reason() == FinishReason.EOS;
        if (seen) {
          assertThat(finished.tokens().getLast().id()).isEqualTo(2);
          assertThat(finished.tokens().getLast().text()).doesNotContain("</s>");
          session.truncate(0);
          Finished on = session.generate(PROMPT, options.withIgnoreEos(true), token -> {});
          assertThat(on.tokens()).hasSize(256 - PROMPT.length);
          assertThat(ids(on)).startsWith(ids(finished));
        } else {
          assertThat(ids(finished)).doesNotContain(2);
        }
      }
    }
    assertThat(seen).isTrue();
  }

  @Test
  void stopStringsEndIt() {
    try (Session session = session(128)) {
      Finished all = session.generate(PROMPT, GREEDY, token -> {});
      String stop = all.text().substring(7, 10);
      session.truncate(0);
      StringBuilder heard = new StringBuilder();
      Finished cut =
          session.generate(
              PROMPT, GREEDY.withStop(List.of("never comes", stop)), t -> heard.append(t.text()));
      assertThat(cut.reason()).isEqualTo(FinishReason.STOP);
      assertThat(cut.text()).isEqualTo(all.text().substring(0, all.text().indexOf(stop)));
      assertThat(heard).hasToString(cut.text());
      assertThat(ids(all)).startsWith(ids(cut));
    }
  }

  /** A text that ends in the middle of a stop string, or of a character, comes out whole. */
  @Test
  void whatWasHeldBackComesAtTheEnd() {
    try (Session session = session(128)) {
      Finished all = session.generate(PROMPT, GREEDY.withMaxTokens(40), token -> {});
      String stop = all.text().substring(all.text().length() - 3) + "\u0001";
      session.truncate(0);
      Finished same =
          session.generate(PROMPT, GREEDY.withMaxTokens(40).withStop(List.of(stop)), token -> {});
      assertThat(same.reason()).isEqualTo(FinishReason.LENGTH);
      assertThat(same.text()).isEqualTo(all.text());
    }
  }

  @Test
  void aListenerMayCancel() {
    try (Session session = session(128)) {
      List<Token> heard = new ArrayList<>();
      Finished finished =
          session.generate(
              PROMPT,
              GREEDY,
              token -> {
                heard.add(token);
                if (heard.size() == 3) {
                  session.cancel();
                }
              });
      assertThat(finished.reason()).isEqualTo(FinishReason.CANCELLED);
      assertThat(finished.tokens()).hasSize(3);
      assertThat(session.length()).isEqualTo(PROMPT.length + 3);
      session.generate(new int[0], GREEDY.withMaxTokens(4), heard::add);
      session.truncate(0);
      Finished whole = session.generate(PROMPT, GREEDY.withMaxTokens(7), token -> {});
      assertThat(heard)
          .extracting(Token::id)
          .isEqualTo(whole.tokens().stream().map(Token::id).toList());
    }
  }

  @Test
  void anInterruptEndsItAndStaysSet() {
    try (Session session = session(128)) {
      Finished finished =
          session.generate(PROMPT, GREEDY, token -> Thread.currentThread().interrupt());
      assertThat(Thread.interrupted()).isTrue();
      assertThat(finished.reason()).isEqualTo(FinishReason.CANCELLED);
      assertThat(finished.tokens()).hasSize(1);
      assertThat(session.generate(new int[0], GREEDY, token -> {}).reason())
          .isEqualTo(FinishReason.LENGTH);
    }
  }

  @Test
  void whatAListenerThrowsComesOutAndTheSessionGoesOn() {
    try (Session session = session(128)) {
      assertThatThrownBy(
              () ->
                  session.generate(
                      PROMPT,
                      GREEDY,
                      token -> {
                        throw new IllegalStateException("enough");
                      }))
          .hasMessage("enough");
      assertThat(session.length()).isEqualTo(PROMPT.length + 1);
      assertThat(session.generate(new int[0], GREEDY.withMaxTokens(3), token -> {}).tokens())
          .hasSize(3);
    }
  }

  @Test
  void logitsThatAreNotFiniteEndIt(@TempDir Path folder) throws IOException {
    Path file = TinyModel.write(folder.resolve("damaged.gguf"), 1);
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 1] = 0x7f; // with the byte below, a NaN
    bytes[bytes.length - 2] = (byte) 0xff;
    Files.write(file, bytes);
    for (String backend : Models.backends()) {
      try (Model damaged = Models.open(file, backend);
          Session session = new Session(damaged)) {
        assertThatThrownBy(() -> session.generate(PROMPT, GREEDY, token -> {}))
            .isInstanceOf(NotFiniteException.class)
            .hasMessageStartingWith("not finite: the output of operation ");
        assertThat(session.tokens()).isEqualTo(PROMPT);
      }
    }
  }

  @Test
  void theReceiptRepeatsAndTellsOtherLogits() {
    try (Session session = session(64)) {
      GenerateOptions options = GREEDY.withReceipt(true).withMaxTokens(9);
      String first = session.generate(PROMPT, options, token -> {}).logitsSha256().orElseThrow();
      session.truncate(0);
      String again = session.generate(PROMPT, options, token -> {}).logitsSha256().orElseThrow();
      session.truncate(0);
      String shorter =
          session
              .generate(PROMPT, options.withMaxTokens(8), token -> {})
              .logitsSha256()
              .orElseThrow();
      assertThat(first).matches("[0-9a-f]{64}").isEqualTo(again).isNotEqualTo(shorter);
      assertThat(Receipt.settings(model, session.capacity(), options.withStop(List.of("a\"\n"))))
          .matches(
              "backend=[\\w/]+ kv-type=f32 ctx=64 temp=0.0 .* seed=0 max-tokens=9 ignore-eos=true"
                  + " stop=\"a\\\\\"\\\\n\"");
    }
  }

  /** Two models and eight threads in one process, each as if it were alone. */
  @Test
  void sessionsRunSideBySide() throws Exception {
    GenerateOptions options = GREEDY.withMaxTokens(40).withReceipt(true);
    try (Model other = Models.tiny("auto");
        ExecutorService threads = Executors.newFixedThreadPool(8)) {
      Map<Integer, List<Future<String>>> hashes = new TreeMap<>();
      for (int i = 0; i < 8; i++) {
        Model one = i < 4 ? model : other;
        int token = 300 + i % 2;
        Future<String> hash =
            threads.submit(
                () -> {
                  try (Session session = new Session(one)) {
                    Finished end = session.generate(new int[] {1, token}, options, t -> {});
                    return end.logitsSha256().orElseThrow();
                  }
                });
        hashes.computeIfAbsent(token, t -> new ArrayList<>()).add(hash);
      }
      for (Map.Entry<Integer, List<Future<String>>> same : hashes.entrySet()) {
        try (Session session = session(64)) {
          Finished alone = session.generate(new int[] {1, same.getKey()}, options, token -> {});
          for (Future<String> hash : same.getValue()) {
            assertThat(hash.get()).isEqualTo(alone.logitsSha256().orElseThrow());
          }
        }
      }
    }
  }

  /** Callers who hold no thread of the system's while a step runs. */
  @Test
  void fiftyVirtualThreadsGenerate() throws Exception {
    GenerateOptions options = GREEDY.withMaxTokens(20).withReceipt(true);
    String expected;
    try (Session session = session(64)) {
      expected = session.generate(PROMPT, options, token -> {}).logitsSha256().orElseThrow();
    }
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<String>> hashes =
          IntStream.range(0, 50)
              .mapToObj(
                  i ->
                      threads.submit(
                          () -> {
                            try (Session session = session(64)) {
                              Finished end = session.generate(PROMPT, options, token -> {});
                              return end.logitsSha256().orElseThrow();
                            }
                          }))
              .toList();
      for (Future<String> hash : hashes) {
        assertThat(hash.get()).isEqualTo(expected);
      }
    }
  }

  /** A prompt's step is long: it ends in the middle, and what comes after is as ever. */
  @ParameterizedTest
  @EnumSource
  void aLongStepEndsEarly(Ending ending, @TempDir Path folder) throws Exception {
    int[] prompt = IntStream.range(0, 900).map(i -> 259 + i * i % 60).toArray();
    try (Model slow = Models.open(TinyModel.writeSlow(folder.resolve("slow.gguf"), 1), "cpu");
        Session session =
            new Session(slow, Capacity.of(slow).withContext(1000).withChunk(1000))) {
      long whole = Long.MAX_VALUE;
      int[] expected = {};
      for (int i = 0; i < 4; i++) {
        session.truncate(0);
        long start = System.nanoTime();
        session.generate(prompt, GREEDY.withMaxTokens(1), token -> {});
        whole = Math.min(whole, System.nanoTime() - start);
        expected = session.tokens();
      }
      // On a busy machine a thread may wait for a processor: the best of a few counts.
      long best = Long.MAX_VALUE;
      for (int i = 0; i < 20 && best > whole / 2; i++) {
        session.truncate(0);
        long wait = whole / 10;
        Thread caller = Thread.currentThread();
        long start = System.nanoTime();
        Thread other =
            Thread.ofPlatform()
                .start(
                    () -> {
                      LockSupport.parkNanos(wait);
                      if (ending == Ending.INTERRUPT) {
                        caller.interrupt();
                      } else {
                        session.cancel();
                      }
                    });
        Finished finished = session.generate(prompt, GREEDY.withMaxTokens(1), token -> {});
        long time = System.nanoTime() - start;
        boolean interrupted = Thread.interrupted();
        other.join();
        Thread.interrupted(); // where it came too late
        if (finished.reason() == FinishReason.CANCELLED) {
          assertThat(interrupted).isEqualTo(ending == Ending.INTERRUPT);
          assertThat(session.tokens()).isEqualTo(prompt);
          best = Math.min(best, time);
        }
      }
      assertThat(best).as("nanoseconds, of " + whole).isLessThan(whole / 2);
      session.generate(new int[0], GREEDY.withMaxTokens(1), token -> {});
      assertThat(session.tokens()).isEqualTo(expected);
    }
  }

  private enum Ending {
    INTERRUPT,
    CANCEL
  }

  /** Native memory that is freed under a running step would end the JVM. */
  @Test
  void closingFromAnotherThreadEndsAGeneration() throws Exception {
    try (ExecutorService threads = Executors.newSingleThreadExecutor()) {
      for (int round = 0; round < 10; round++) {
        boolean modelFirst = round % 2 == 0;
        Model own = Models.tiny("auto");
        Session session = new Session(own);
        CountDownLatch started = new CountDownLatch(1);
        Future<?> running =
            threads.submit(
                () -> {
                  while (true) {
                    session.truncate(0);
                    session.generate(PROMPT, GREEDY, token -> started.countDown());
                  }
                });
        started.await();
        (modelFirst ? own : (AutoCloseable) session).close();
        assertThatThrownBy(running::get)
            .cause()
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("closed");
        session.close();
        own.close();
        assertThatThrownBy(() -> new Session(own))
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("closed");
      }
    }
  }

  @Test
  void aListenerCannotGenerateOnItsOwnSession() {
    try (Session session = session(64)) {
      assertThatThrownBy(
              () ->
                  session.generate(
                      PROMPT, GREEDY, token -> session.generate(PROMPT, GREEDY, other -> {})))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("generates already");
      session.truncate(0);
      assertThat(session.generate(PROMPT, GREEDY.withMaxTokens(2), token -> {}).tokens())
          .hasSize(2);
    }
  }

  @Test
  void aCapacityBeyondCountingIsRefused() {
    Capacity capacity = Capacity.of(model);
    assertThatThrownBy(() -> capacity.withContext(Integer.MAX_VALUE))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("ctx: expected at most 1073741824 tokens in all sequences, found 2147483647");
    assertThatThrownBy(() -> capacity.withContext(1 << 20).withSequences(1025))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void probabilitiesAreTheModelsOwn() {
    SamplerOptions sharp = SamplerOptions.defaults().withTemp(0.1).withTopK(2);
    try (Session session = session(64)) {
      Finished finished =
          session.generate(
              PROMPT, GREEDY.withSampler(sharp).withMaxTokens(1).withLogprobs(1000), token -> {});
      List<Choice> top = finished.tokens().getFirst().logprobs().orElseThrow().top();
      assertThat(top).hasSize(TinyModel.VOCABULARY);
      assertThat(top.stream().mapToDouble(Choice::probability).sum()).isCloseTo(1, within(1e-12));
    }
  }
}
