// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.reference;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.backend.train.TrainingOperation.Add;
import dev.tokamak.backend.train.TrainingOperation.Attention;
import dev.tokamak.backend.train.TrainingOperation.Embed;
import dev.tokamak.backend.train.TrainingOperation.Forward;
import dev.tokamak.backend.train.TrainingOperation.Gate;
import dev.tokamak.backend.train.TrainingOperation.LogProbability;
import dev.tokamak.backend.train.TrainingOperation.MatMul;
import dev.tokamak.backend.train.TrainingOperation.Norm;
import dev.tokamak.backend.train.TrainingOperation.Rope;
import dev.tokamak.backend.train.TrainingOperation.Scale;
import dev.tokamak.backend.train.TrainingOperation.Select;

/** The operations of the forward pass, each as a plain loop with sums in double precision. */
final class ForwardLoops {
  private final TrainingArrays arrays;
  private final float[] x;

  ForwardLoops(TrainingArrays arrays) {
    this.arrays = arrays;
    x = arrays.x;
  }

  void run(Forward operation) {
    switch (operation) {
      case Embed op -> embed(op);
      case Norm op -> norm(op);
      case MatMul op -> matmul(op);
      case Rope op -> rope(op);
      case Attention op -> attention(op);
      case Gate op -> gate(op);
      case Add op -> add(op);
      case Scale op -> scale(op);
      case Select op -> select(op);
      case LogProbability op -> logProbability(op);
    }
  }

  private void embed(Embed op) {
    int dim = op.out().width();
    int out = arrays.at(op.out());
    for (int r = 0; r < arrays.batch.rows(); r++) {
      int row = TrainingArrays.at(op.table()) + arrays.batch.token(r) * dim;
      System.arraycopy(arrays.weights, row, x, out + r * dim, dim);
    }
  }

  private void norm(Norm op) {
    int dim = op.weight().cols();
    int weight = TrainingArrays.at(op.weight());
    for (int group = 0; group < arrays.count(op.x()); group += dim) {
      int in = arrays.at(op.x()) + group;
      int out = arrays.at(op.out()) + group;
      double scale = normScale(x, in, dim, op.epsilon());
      for (int i = 0; i < dim; i++) {
        x[out + i] = (float) (x[in + i] * scale * arrays.weights[weight + i]);
      }
    }
  }

  /** 1 / sqrt(mean(x²) + epsilon). */
  static double normScale(float[] x, int at, int dim, float epsilon) {
    double squares = 0;
    for (int i = 0; i < dim; i++) {
      squares += (double) x[at + i] * x[at + i];
    }
    return 1 / Math.sqrt(squares / dim + epsilon);
  }

  private void matmul(MatMul op) {
    float[] in = arrays.operand(op.x());
    float[] weight = arrays.operand(op.weight());
    int k = op.x().width();
    int outDim = op.out().width();
    for (int o = 0; o < outDim; o++) {
      float bias =
          op.bias().isPresent()
              ? arrays.weights[TrainingArrays.at(op.bias().get()) + o]
              : 0;
      for (int r = 0; r < arrays.rows(op.x()); r++) {
        double sum = bias;
        for (int i = 0; i < k; i++) {
          sum += (double) in[r * k + i] * weight[o * k + i];
        }
        x[arrays.at(op.out()) + r * outDim + o] = (float) sum;
      }
    }
  }

  private void rope(Rope op) {
    int width = op.x().width();
    int half = (int) op.table().cols() / 2;
    boolean interleaved = op.pairing() == Pairing.INTERLEAVED;
    System.arraycopy(x, arrays.at(op.x()), x, arrays.at(op.out()), arrays.count(op.x()));
    for (int r = 0; r < arrays.batch.rows(); r++) {
      long angles = (long) arrays.batch.position(r) * 2 * half;
      for (int head = 0; head < width; head += op.headDim()) {
        int at = arrays.at(op.out()) + r * width + head;
        for (int i = 0; i < half; i++) {
          int a = at + (interleaved ? 2 * i : i);
          int b = interleaved ? a + 1 : a + half;
          double cos = op.table().floatAt(angles + i);
          double sin = op.table().floatAt(angles + half + i) * (op.inverse() ? -1 : 1);
          double turned = x[a] * cos - x[b] * sin;
          x[b] = (float) (x[a] * sin + x[b] * cos);
          x[a] = (float) turned;
        }
      }
    }
  }

  /** Softmax over the scores of the sequence's rows so far (Vaswani et al. 2017), head by head. */
  private void attention(Attention op) {
    int dim = op.headDim();
    int heads = op.logSums().width();
    int shared = heads / (op.k().width() / dim);
    for (int r = 0; r < arrays.batch.rows(); r++) {
      int start = arrays.batch.start(r);
      double[] p = new double[r - start + 1];
      for (int head = 0; head < heads; head++) {
        int q = arrays.at(op.q()) + r * op.q().width() + head * dim;
        int key = head / shared * dim;
        double largest = Double.NEGATIVE_INFINITY;
        for (int j = start; j <= r; j++) {
          int k = arrays.at(op.k()) + j * op.k().width() + key;
          p[j - start] = dot(x, q, x, k, dim) * op.scale();
          largest = Math.max(largest, p[j - start]);
        }
        double total = 0;
        for (int j = 0; j < p.length; j++) {
          p[j] = Math.exp(p[j] - largest);
          total += p[j];
        }
        double[] sum = new double[dim];
        for (int j = start; j <= r; j++) {
          int v = arrays.at(op.v()) + j * op.v().width() + key;
          for (int i = 0; i < dim; i++) {
            sum[i] += p[j - start] * x[v + i];
          }
        }
        int out = arrays.at(op.out()) + r * op.q().width() + head * dim;
        for (int i = 0; i < dim; i++) {
          x[out + i] = (float) (sum[i] / total);
        }
        x[arrays.at(op.logSums()) + r * heads + head] = (float) (largest + Math.log(total));
      }
    }
  }

  static double dot(float[] a, int aAt, float[] b, int bAt, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += (double) a[aAt + i] * b[bAt + i];
    }
    return sum;
  }

  private void gate(Gate op) {
    for (int i = 0; i < arrays.count(op.out()); i++) {
      double gate = x[arrays.at(op.gate()) + i];
      x[arrays.at(op.out()) + i] =
          (float) (gate / (1 + Math.exp(-gate)) * x[arrays.at(op.up()) + i]);
    }
  }

  private void add(Add op) {
    for (int i = 0; i < arrays.count(op.out()); i++) {
      x[arrays.at(op.out()) + i] = x[arrays.at(op.x()) + i] + x[arrays.at(op.y()) + i];
    }
  }

  private void scale(Scale op) {
    for (int i = 0; i < arrays.count(op.out()); i++) {
      x[arrays.at(op.out()) + i] = op.factor() * x[arrays.at(op.x()) + i];
    }
  }

  private void select(Select op) {
    int width = op.x().width();
    for (int o = 0; o < arrays.batch.outputs(); o++) {
      int row = arrays.at(op.x()) + arrays.batch.outputRow(o) * width;
      System.arraycopy(x, row, x, arrays.at(op.out()) + o * width, width);
    }
  }

  private void logProbability(LogProbability op) {
    int vocabulary = op.logits().width();
    for (int o = 0; o < arrays.batch.outputs(); o++) {
      int row = arrays.at(op.logits()) + o * vocabulary;
      double largest = Double.NEGATIVE_INFINITY;
      for (int i = 0; i < vocabulary; i++) {
        largest = Math.max(largest, x[row + i]);
      }
      double total = 0;
      for (int i = 0; i < vocabulary; i++) {
        total += Math.exp(x[row + i] - largest);
      }
      double logSum = largest + Math.log(total);
      x[arrays.at(op.logSums()) + o] = (float) logSum;
      arrays
          .batch
          .arrays()
          .logProbabilities()
          .setAtIndex(JAVA_FLOAT, o, (float) (x[row + arrays.batch.targetOf(o)] - logSum));
    }
  }
}
