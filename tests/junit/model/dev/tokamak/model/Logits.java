// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.Backends;
import dev.tokamak.backend.QuantType;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import tools.jackson.databind.JsonNode;

/** Logits of models in tests: made on a backend, and measured against expected ones. */
final class Logits {
  private Logits() {}

  /** The backends that this machine has. */
  static List<String> backends() {
    return Backends.probe(Backends.Options.defaults()).stream()
        .filter(probe -> probe.obstacle().isEmpty())
        .map(Backends.Probe::name)
        .toList();
  }

  static Model open(Path file, String backend) {
    return Model.open(
        file,
        new ModelOptions(
            new Backends.Options(backend, OptionalInt.of(2), Optional.empty(), false),
            Backend.Progress.none()));
  }

  /** Logits after each token, in steps of at most {@code chunk} rows. */
  static float[][] of(Model model, int[] ids, int chunk) {
    try (Inference inference = model.prepare(shape(model, chunk))) {
      float[][] logits = new float[ids.length][model.architecture().vocabulary()];
      int sequence = inference.begin();
      for (int from = 0; from < ids.length; from += chunk) {
        int to = Math.min(ids.length, from + chunk);
        for (int i = from; i < to; i++) {
          inference.add(sequence, ids[i]);
          inference.wantLogits();
        }
        inference.step();
        for (int i = from; i < to; i++) {
          inference.logits(i - from, logits[i]);
        }
      }
      return logits;
    }
  }

  /** The likeliest tokens after a prompt, one after the other. */
  static int[] greedy(Model model, int[] prompt, int count) {
    try (Inference inference = model.prepare(shape(model, 64))) {
      int[] tokens = new int[count];
      float[] logits = new float[model.architecture().vocabulary()];
      int sequence = inference.begin();
      for (int i = 0; i < prompt.length; i++) {
        inference.add(sequence, prompt[i]);
        if (inference.room() == 0 && i + 1 < prompt.length) {
          inference.step();
        }
      }
      for (int n = 0; n < count; n++) {
        inference.wantLogits();
        inference.step();
        inference.logits(0, logits);
        tokens[n] = top(logits);
        inference.add(sequence, tokens[n]);
      }
      return tokens;
    }
  }

  private static Inference.Shape shape(Model model, int chunk) {
    return new Inference.Shape(512, chunk, chunk, 1, QuantType.F32);
  }

  /** The likeliest token; of equals the lowest. */
  static int top(float[] logits) {
    int top = 0;
    for (int i = 1; i < logits.length; i++) {
      if (logits[i] > logits[top]) {
        top = i;
      }
    }
    return top;
  }

  /** How far the likeliest token is ahead of the next. */
  static double gap(float[] logits) {
    float[] sorted = logits.clone();
    Arrays.sort(sorted);
    return (double) sorted[sorted.length - 1] - sorted[sorted.length - 2];
  }

  /** −log softmax(logits)[token], in double precision. */
  static double negativeLogLikelihood(float[] logits, int token) {
    double largest = logits[top(logits)];
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit - largest);
    }
    return largest + Math.log(sum) - logits[token];
  }

  /** The largest difference from expected values, relative to the largest of these. */
  static double error(float[] logits, JsonNode expected) {
    if (expected.size() != logits.length) {
      throw new AssertionError(logits.length + " logits, expected " + expected.size());
    }
    double largest = 0;
    double worst = 0;
    for (int i = 0; i < logits.length; i++) {
      double value = expected.get(i).doubleValue();
      largest = Math.max(largest, Math.abs(value));
      worst = Math.max(worst, Math.abs(logits[i] - value));
    }
    return worst / largest;
  }

  static int[] ints(JsonNode array) {
    int[] values = new int[array.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = array.get(i).intValue();
    }
    return values;
  }
}
