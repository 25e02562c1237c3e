// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.reference;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.train.Parameter;
import dev.tokamak.backend.train.Parameter.Role;
import dev.tokamak.backend.train.Parameters;
import dev.tokamak.backend.train.Update;
import java.util.Arrays;

/** Clipping and the optimisers' rules, as they stand in {@link Update}, in double precision. */
final class UpdateLoops {
  private final Parameters parameters;
  private final float[] weights;
  private final float[] gradients;
  final float[] first;
  final float[] second;

  UpdateLoops(Parameters parameters, TrainingArrays arrays) {
    this.parameters = parameters;
    weights = arrays.weights;
    gradients = arrays.gradients;
    first = new float[gradients.length];
    second = new float[gradients.length];
  }

  double run(Update update) {
    double norm = norm();
    if (!Double.isFinite(norm)) {
      throw new BackendException(
          "update: the norm of the gradients is " + norm + "; no weight has changed");
    }
    double scale = update.clip() > 0 && norm > update.clip() ? update.clip() / norm : 1;
    for (Parameter parameter : parameters.trainable()) {
      decay(parameter, update);
      if (update.optimizer() == Update.Optimizer.MUON && parameter.role() == Role.MATRIX) {
        muon(parameter, scale, update);
      } else {
        adamw(parameter, scale, update);
      }
    }
    Arrays.fill(gradients, 0);
    return norm;
  }

  private double norm() {
    double squares = 0;
    for (float gradient : gradients) {
      squares += (double) gradient * gradient;
    }
    return Math.sqrt(squares);
  }

  private void decay(Parameter parameter, Update update) {
    if (parameter.role() != Role.VECTOR) {
      double kept = 1 - update.learningRate() * update.weightDecay();
      int at = TrainingArrays.at(parameter);
      for (int i = at; i < at + parameter.size(); i++) {
        weights[i] = (float) (weights[i] * kept);
      }
    }
  }

  private void adamw(Parameter parameter, double scale, Update update) {
    double firstBias = 1 - Math.pow(update.beta1(), update.step());
    double secondBias = 1 - Math.pow(update.beta2(), update.step());
    int at = TrainingArrays.at(parameter);
    for (int i = at; i < at + parameter.size(); i++) {
      double g = gradients[i] * scale;
      first[i] = (float) (update.beta1() * first[i] + (1 - update.beta1()) * g);
      second[i] = (float) (update.beta2() * second[i] + (1 - update.beta2()) * g * g);
      double root = Math.sqrt(second[i] / secondBias) + update.epsilon();
      weights[i] -= (float) (update.learningRate() * first[i] / firstBias / root);
    }
  }

  private void muon(Parameter parameter, double scale, Update update) {
    int at = TrainingArrays.at(parameter);
    int rows = parameter.rows();
    int cols = parameter.cols();
    double momentum = Update.MUON_MOMENTUM;
    boolean tall = rows > cols;
    double[][] u = new double[Math.min(rows, cols)][Math.max(rows, cols)];
    for (int i = 0; i < parameter.size(); i++) {
      double g = gradients[at + i] * scale;
      first[at + i] = (float) (momentum * first[at + i] + (1 - momentum) * g);
      double nesterov = momentum * first[at + i] + (1 - momentum) * g;
      u[tall ? i % cols : i / cols][tall ? i / cols : i % cols] = nesterov;
    }
    double[][] turned = orthogonal(u);
    double rate = update.learningRate() * Update.MUON_SCALE * Math.sqrt(Math.max(rows, cols));
    for (int i = 0; i < parameter.size(); i++) {
      double step = turned[tall ? i % cols : i / cols][tall ? i / cols : i % cols];
      weights[at + i] -= (float) (rate * step);
    }
  }

  /** Steps of Newton and Schulz from a matrix with no more rows than columns. */
  private static double[][] orthogonal(double[][] u) {
    double squares = 0;
    for (double[] row : u) {
      for (double value : row) {
        squares += value * value;
      }
    }
    double norm = Math.sqrt(squares) + 1e-7;
    double[][] x = new double[u.length][];
    for (int i = 0; i < u.length; i++) {
      x[i] = Arrays.stream(u[i]).map(value -> value / norm).toArray();
    }
    for (int step = 0; step < Update.MUON_STEPS; step++) {
      double[][] a = timesTransposed(x, x);
      double[][] polynomial = timesTransposed(a, a); // a is symmetric: a·aᵀ = a²
      for (int i = 0; i < a.length; i++) {
        for (int j = 0; j < a.length; j++) {
          polynomial[i][j] = Update.MUON_B * a[i][j] + Update.MUON_C * polynomial[i][j];
        }
      }
      double[][] next = new double[x.length][x[0].length];
      for (int i = 0; i < x.length; i++) {
        for (int j = 0; j < x[0].length; j++) {
          next[i][j] = Update.MUON_A * x[i][j];
        }
        for (int l = 0; l < x.length; l++) {
          for (int j = 0; j < x[0].length; j++) {
            next[i][j] += polynomial[i][l] * x[l][j];
          }
        }
      }
      x = next;
    }
    return x;
  }

  private static double[][] timesTransposed(double[][] a, double[][] b) {
    double[][] out = new double[a.length][b.length];
    for (int i = 0; i < a.length; i++) {
      for (int j = 0; j < b.length; j++) {
        for (int l = 0; l < a[i].length; l++) {
          out[i][j] += a[i][l] * b[j][l];
        }
      }
    }
    return out;
  }
}
