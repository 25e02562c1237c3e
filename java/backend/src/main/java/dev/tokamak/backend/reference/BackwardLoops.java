// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.reference;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.tokamak.backend.train.TrainingOperation;
import dev.tokamak.backend.train.TrainingOperation.Attention;
import dev.tokamak.backend.train.TrainingOperation.AttentionGradient;
import dev.tokamak.backend.train.TrainingOperation.BiasGradient;
import dev.tokamak.backend.train.TrainingOperation.EmbedGradient;
import dev.tokamak.backend.train.TrainingOperation.Forward;
import dev.tokamak.backend.train.TrainingOperation.GateGradient;
import dev.tokamak.backend.train.TrainingOperation.InputGradient;
import dev.tokamak.backend.train.TrainingOperation.LogProbabilityGradient;
import dev.tokamak.backend.train.TrainingOperation.NormGradient;
import dev.tokamak.backend.train.TrainingOperation.SelectGradient;
import dev.tokamak.backend.train.TrainingOperation.WeightGradient;
import java.util.Arrays;

/** The operations of the backward pass, each as a plain loop with sums in double precision. */
final class BackwardLoops {
  private final TrainingArrays arrays;
  private final ForwardLoops forward;
  private final float[] x;

  BackwardLoops(TrainingArrays arrays, ForwardLoops forward) {
    this.arrays = arrays;
    this.forward = forward;
    x = arrays.x;
  }

  void run(TrainingOperation operation) {
    switch (operation) {
      case Forward op -> forward.run(op);
      case LogProbabilityGradient op -> logProbability(op);
      case EmbedGradient op -> embed(op);
      case NormGradient op -> norm(op);
      case InputGradient op -> input(op);
      case WeightGradient op -> weight(op);
      case BiasGradient op -> bias(op);
      case AttentionGradient op -> attention(op);
      case GateGradient op -> gate(op);
      case SelectGradient op -> select(op);
    }
  }

  private void logProbability(LogProbabilityGradient op) {
    int vocabulary = op.logits().width();
    for (int o = 0; o < arrays.batch.outputs(); o++) {
      int row = arrays.at(op.logits()) + o * vocabulary;
      double logSum = x[arrays.at(op.logSums()) + o];
      double coefficient = arrays.batch.arrays().coefficients().getAtIndex(JAVA_FLOAT, o);
      int target = arrays.batch.targetOf(o);
      for (int i = 0; i < vocabulary; i++) {
        double p = Math.exp(x[row + i] - logSum);
        x[row + i] = (float) (coefficient * ((i == target ? 1 : 0) - p));
      }
    }
  }

  private void embed(EmbedGradient op) {
    int dim = op.table().cols();
    for (int r = 0; r < arrays.batch.rows(); r++) {
      int row = TrainingArrays.at(op.table()) + arrays.batch.token(r) * dim;
      for (int i = 0; i < dim; i++) {
        arrays.gradients[row + i] += x[arrays.at(op.outGradient()) + r * dim + i];
      }
    }
  }

  /** With s = 1/sqrt(mean(x²) + ε): dx = s·w·dy − x·s³·mean(w·dy·x), dw += dy·x·s. */
  private void norm(NormGradient op) {
    int dim = op.weight().cols();
    int weight = TrainingArrays.at(op.weight());
    double[] sums = new double[dim];
    for (int group = 0; group < arrays.count(op.x()); group += dim) {
      int in = arrays.at(op.x()) + group;
      int dy = arrays.at(op.outGradient()) + group;
      int dx = arrays.at(op.xGradient()) + group;
      double scale = ForwardLoops.normScale(x, in, dim, op.epsilon());
      double mean = 0;
      for (int i = 0; i < dim; i++) {
        mean += (double) arrays.weights[weight + i] * x[dy + i] * x[in + i] / dim;
        sums[i] += x[dy + i] * (x[in + i] * scale);
      }
      for (int i = 0; i < dim; i++) {
        double flow = (double) arrays.weights[weight + i] * x[dy + i];
        x[dx + i] = (float) (scale * (flow - x[in + i] * scale * scale * mean));
      }
    }
    if (op.weight().trainable()) {
      for (int i = 0; i < dim; i++) {
        arrays.gradients[weight + i] += (float) sums[i];
      }
    }
  }

  private void input(InputGradient op) {
    float[] dy = arrays.operand(op.outGradient());
    float[] weight = arrays.operand(op.weight());
    int k = op.weight().cols();
    int outDim = op.weight().rows();
    double[] sums = new double[k];
    for (int r = 0; r < arrays.rows(op.outGradient()); r++) {
      Arrays.fill(sums, 0);
      for (int o = 0; o < outDim; o++) {
        double flow = dy[r * outDim + o];
        for (int i = 0; i < k; i++) {
          sums[i] += flow * weight[o * k + i];
        }
      }
      int dx = arrays.at(op.xGradient()) + r * k;
      for (int i = 0; i < k; i++) {
        x[dx + i] = (float) (op.accumulate() ? x[dx + i] + sums[i] : sums[i]);
      }
    }
  }

  private void weight(WeightGradient op) {
    float[] dy = arrays.operand(op.outGradient());
    float[] in = arrays.operand(op.x());
    int k = op.weight().cols();
    int outDim = op.weight().rows();
    double[] sums = new double[k];
    for (int o = 0; o < outDim; o++) {
      Arrays.fill(sums, 0);
      for (int r = 0; r < arrays.rows(op.x()); r++) {
        double flow = dy[r * outDim + o];
        for (int i = 0; i < k; i++) {
          sums[i] += flow * in[r * k + i];
        }
      }
      int at = TrainingArrays.at(op.weight()) + o * k;
      for (int i = 0; i < k; i++) {
        arrays.gradients[at + i] = (float) (arrays.gradients[at + i] + sums[i]);
      }
    }
  }

  private void bias(BiasGradient op) {
    int width = op.outGradient().width();
    for (int o = 0; o < width; o++) {
      double sum = 0;
      for (int r = 0; r < arrays.rows(op.outGradient()); r++) {
        sum += x[arrays.at(op.outGradient()) + r * width + o];
      }
      int at = TrainingArrays.at(op.bias()) + o;
      arrays.gradients[at] = (float) (arrays.gradients[at] + sum);
    }
  }

  private void attention(AttentionGradient op) {
    Attention f = op.forward();
    int dim = f.headDim();
    int heads = f.logSums().width();
    int shared = heads / (f.k().width() / dim);
    int qWidth = f.q().width();
    int kWidth = f.k().width();
    double[] dk = new double[arrays.count(f.k())];
    double[] dv = new double[arrays.count(f.v())];
    double[] dq = new double[dim];
    for (int r = 0; r < arrays.batch.rows(); r++) {
      for (int head = 0; head < heads; head++) {
        int row = r * qWidth + head * dim;
        int q = arrays.at(f.q()) + row;
        int dOut = arrays.at(op.outGradient()) + row;
        double logSum = x[arrays.at(f.logSums()) + r * heads + head];
        double mean = ForwardLoops.dot(x, dOut, x, arrays.at(f.out()) + row, dim);
        Arrays.fill(dq, 0);
        for (int j = arrays.batch.start(r); j <= r; j++) {
          int key = j * kWidth + head / shared * dim;
          int k = arrays.at(f.k()) + key;
          double p = Math.exp(ForwardLoops.dot(x, q, x, k, dim) * f.scale() - logSum);
          double dp = ForwardLoops.dot(x, dOut, x, arrays.at(f.v()) + key, dim);
          double ds = p * (dp - mean) * f.scale();
          for (int i = 0; i < dim; i++) {
            dv[key + i] += p * x[dOut + i];
            dk[key + i] += ds * x[q + i];
            dq[i] += ds * x[k + i];
          }
        }
        for (int i = 0; i < dim; i++) {
          x[arrays.at(op.qGradient()) + row + i] = (float) dq[i];
        }
      }
    }
    for (int i = 0; i < dk.length; i++) {
      x[arrays.at(op.kGradient()) + i] = (float) dk[i];
      x[arrays.at(op.vGradient()) + i] = (float) dv[i];
    }
  }

  private void gate(GateGradient op) {
    for (int i = 0; i < arrays.count(op.gate()); i++) {
      double gate = x[arrays.at(op.gate()) + i];
      double up = x[arrays.at(op.up()) + i];
      double flow = x[arrays.at(op.outGradient()) + i];
      double logistic = 1 / (1 + Math.exp(-gate));
      x[arrays.at(op.gateGradient()) + i] =
          (float) (flow * up * logistic * (1 + gate * (1 - logistic)));
      x[arrays.at(op.upGradient()) + i] = (float) (flow * gate * logistic);
    }
  }

  private void select(SelectGradient op) {
    int width = op.xGradient().width();
    int dx = arrays.at(op.xGradient());
    Arrays.fill(x, dx, dx + arrays.count(op.xGradient()), 0);
    for (int o = 0; o < arrays.batch.outputs(); o++) {
      int row = arrays.at(op.outGradient()) + o * width;
      System.arraycopy(x, row, x, dx + arrays.batch.outputRow(o) * width, width);
    }
  }
}
