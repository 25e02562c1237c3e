// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.tokamak.backend.TokenSampler.Besides;
import dev.tokamak.generate.Event.Finished;
import dev.tokamak.generate.Event.Logprobs;
import dev.tokamak.generate.Event.Token;
import dev.tokamak.model.Inference;
import dev.tokamak.model.Model;
import dev.tokamak.testing.Golden;
import dev.tokamak.testing.Seeds;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tokens that the device chooses, against the sampler and the distribution on its own logits. */
class ChooserTest {
  private static final int TOP = 5;
  private static final int TOKENS = 10;

  @BeforeAll
  static void cudaIsThere() {
    assumeTrue(Models.backends().contains("cuda"), "no cuda backend here, emulated or not");
  }

  private record Request(int[] prompt, GenerateOptions options) {}

  /** Every step of the sampler, alone and with the others. */
  private static List<SamplerOptions> samplers(RandomGenerator random) {
    SamplerOptions all =
        SamplerOptions.defaults()
            .withTemp(1.3)
            .withTopK(0)
            .withTopP(1)
            .withMinP(0)
            .withSeed(random.nextLong());
    SamplerOptions penalties =
        all.withRepeatPenalty(1.3).withPresencePenalty(0.4).withFrequencyPenalty(0.2);
    return List.of(
        SamplerOptions.greedy(),
        penalties.withTemp(0),
        all,
        all.withTopK(9),
        all.withTopP(0.8),
        all.withMinP(0.1),
        all.withTypical(0.7),
        penalties.withRepeatLastN(3),
        penalties.withRepeatLastN(-1).withTopK(40).withTypical(0.9).withTopP(0.9).withMinP(0.02));
  }

  private static Request request(Model model, RandomGenerator random, SamplerOptions sampler) {
    int[] prompt =
        random.ints(random.nextInt(1, 20), 0, model.architecture().vocabulary()).toArray();
    return new Request(
        prompt,
        GenerateOptions.of(sampler)
            .withIgnoreEos(true)
            .withMaxTokens(TOKENS)
            .withLogprobs(random.nextInt(TOP)));
  }

  private static Capacity capacity(Model model, int chunk, int sequences) {
    return Capacity.of(model).withContext(64).withChunk(chunk).withSequences(sequences);
  }

  private static List<List<Token>> run(Model model, List<Request> requests, Capacity capacity) {
    List<List<Token>> answers = new ArrayList<>();
    try (Batcher batcher = new Batcher(model, capacity)) {
      for (Request request : requests) {
        List<Token> answer = new ArrayList<>();
        answers.add(answer);
        batcher.submit(
            request.prompt,
            request.options,
            event -> {
              if (event instanceof Finished finished) {
                answer.addAll(finished.tokens());
              }
            });
      }
      batcher.run();
    }
    return answers;
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama-f32.gguf", "qwen2-bf16.gguf"})
  void tokensAreTheSamplers(String file) {
    Seeds.check(
        random -> {
          try (Model model = Models.open(Golden.path(file), "cuda")) {
            List<Request> requests =
                samplers(random).stream()
                    .map(sampler -> request(model, random, sampler))
                    .toList();
            List<List<Token>> answers = run(model, requests, capacity(model, 64, 1));
            for (int i = 0; i < requests.size(); i++) {
              compare(model, requests.get(i), answers.get(i));
            }
            // The same, to the last bit, in company and in any chunks.
            assertThat(run(model, requests, capacity(model, 3, 4))).isEqualTo(answers);
          }
        });
  }

  /** Samples on the host from logits that cuda computes, and looks for each token there. */
  private static void compare(Model model, Request request, List<Token> answer) {
    int vocabulary = model.architecture().vocabulary();
    Sampler sampler = new Sampler(vocabulary);
    Distribution distribution = new Distribution(vocabulary);
    float[] logits = new float[vocabulary];
    int[] history = new int[64];
    System.arraycopy(request.prompt, 0, history, 0, request.prompt.length);
    int length = request.prompt.length;
    SamplerOptions options = request.options.sampler();
    int top = request.options.logprobs().getAsInt();
    assertThat(answer).hasSize(TOKENS);
    try (Inference inference =
        model.prepare(new Inference.Shape(64, 64, 1, 1, model.defaultCacheType()))) {
      int sequence = inference.begin();
      for (Token token : answer) {
        for (int i = inference.length(sequence); i < length; i++) {
          inference.add(sequence, history[i]);
        }
        int row = inference.wantLogits();
        inference.step();
        inference.logits(row, logits);
        assertThat(token.id())
            .as("token %d, %s", length, options.settings())
            .isEqualTo(sampler.sample(options, logits, history, length));
        distribution.set(logits);
        compare(token.logprobs().orElseThrow(), token.id(), distribution, top);
        history[length++] = token.id();
      }
    }
  }

  private static void compare(Logprobs logprobs, int token, Distribution distribution, int top) {
    assertThat(logprobs.chosen().id()).isEqualTo(token);
    assertThat(logprobs.chosen().logProbability())
        .isCloseTo(distribution.logProbability(token), within(1e-10));
    List<Choice> likeliest = distribution.top(top);
    assertThat(logprobs.top()).extracting(Choice::id).isEqualTo(ids(likeliest));
    for (int rank = 0; rank < top; rank++) {
      assertThat(logprobs.top().get(rank).logProbability())
          .isCloseTo(likeliest.get(rank).logProbability(), within(1e-10));
    }
  }

  private static List<Integer> ids(List<Choice> choices) {
    return choices.stream().map(Choice::id).toList();
  }

  /** A receipt, and more log probabilities than the device lists, need logits: same tokens. */
  @Test
  void whoNeedsLogitsGetsThemAndTheSameTokens() {
    Seeds.check(
        random -> {
          try (Model model = Models.tiny("cuda")) {
            int vocabulary = model.architecture().vocabulary();
            SamplerOptions sampler = SamplerOptions.defaults().withSeed(random.nextLong());
            Request plain = request(model, random, sampler);
            Request receipt = new Request(plain.prompt, plain.options.withReceipt(true));
            Request many = new Request(plain.prompt, plain.options.withLogprobs(vocabulary));
            List<List<Token>> answers =
                run(model, List.of(plain, receipt, many), capacity(model, 64, 3));
            List<Integer> expected = answers.getFirst().stream().map(Token::id).toList();
            assertThat(expected).hasSize(TOKENS);
            assertThat(answers.get(1)).extracting(Token::id).isEqualTo(expected);
            assertThat(answers.get(2)).extracting(Token::id).isEqualTo(expected);
            assertThat(answers.get(2)).allMatch(t -> t.logprobs().get().top().size() == vocabulary);
          }
        });
  }

  /** A step whose logits nobody needs leaves those of the step before where they were. */
  @Test
  void logitsStayOnTheDeviceUnlessNeeded() {
    try (Model model = Models.tiny("cuda")) {
      GenerateOptions plain = GenerateOptions.of(SamplerOptions.defaults());
      int more = model.architecture().vocabulary();
      assertThat(bringsLogits(model, plain)).isFalse();
      assertThat(bringsLogits(model, plain.withLogprobs(5))).isFalse();
      assertThat(bringsLogits(model, plain.withLogprobs(more))).isTrue();
      assertThat(bringsLogits(model, plain.withReceipt(true))).isTrue();
    }
  }

  private static boolean bringsLogits(Model model, GenerateOptions options) {
    int vocabulary = model.architecture().vocabulary();
    try (Inference inference =
        model.prepare(new Inference.Shape(64, 1, 1, 2, model.defaultCacheType()))) {
      Chooser chooser = new Chooser(inference, vocabulary);
      inference.add(inference.begin(), 5);
      inference.wantLogits();
      inference.step();
      float[] before = new float[vocabulary];
      inference.logits(0, before);
      List<Event> events = new ArrayList<>();
      Generation generation =
          new Generation(
              new int[] {7}, options.withMaxTokens(1), events::add, model.tokenizer(), vocabulary);
      generation.start(new Sequence(inference), true);
      generation.sequence().run(1);
      generation.row = chooser.want(generation);
      inference.step();
      float[] after = new float[vocabulary];
      inference.logits(0, after);
      chooser.choose(generation);
      assertThat(events).hasSize(2).hasAtLeastOneElementOfType(Finished.class);
      return !Arrays.equals(before, after);
    }
  }

  /** Penalties on more tokens than the device is told of are the host's. */
  @Test
  void longHistoriesAreTheHosts() {
    try (Model model = Models.tiny("cuda");
        Inference inference =
            model.prepare(new Inference.Shape(64, 1, 1, 1, model.defaultCacheType()))) {
      SamplerOptions all = SamplerOptions.defaults().withRepeatLastN(-1).withRepeatPenalty(1.1);
      assertThat(inference.samples(all, 10)).isFalse();
      inference.prepareSampling();
      assertThat(inference.samples(all, 1024)).isTrue();
      assertThat(inference.samples(all, 1025)).isFalse();
      assertThat(inference.samples(all.withRepeatPenalty(1), 1025)).isTrue();
      assertThat(inference.samples(all.withRepeatLastN(64), 1025)).isTrue();
      int sequence = inference.begin();
      inference.add(sequence, 5);
      int row = inference.wantToken(all, new int[] {5}, 1, Besides.NOTHING);
      inference.step();
      assertThat(inference.token(row)).isBetween(0, model.architecture().vocabulary() - 1);
    }
  }
}
