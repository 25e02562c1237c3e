// SPDX-License-Identifier: Apache-2.0
//
// See matmul_plain.h.

namespace TK_LEVEL {

static void quantize_row(int, const float* x, int64_t cols, int64_t row, void* activations) {
  memcpy(static_cast<float*>(activations) + row * cols, x, static_cast<size_t>(cols) * 4);
}

static void matmul(const Matmul& job, int64_t rows, const void* activations, int64_t first,
                   int64_t last) {
  const int64_t end = last * 16 < job.out_dim ? last * 16 : job.out_dim;
  for (int64_t row = 0; row < rows; row++) {
    const float* x = static_cast<const float*>(activations) + row * job.cols;
    for (int64_t j = first * 16; j < end; j++) {
      const float* w = static_cast<const float*>(job.packed) + j * job.cols;
      Floats sum = zero();
      for (int64_t k = 0; k < job.cols; k += 16) {
        const int count = job.cols - k < 16 ? static_cast<int>(job.cols - k) : 16;
        sum = fma(load_partial(x + k, count), load_partial(w + k, count), sum);
      }
      job.out[row * job.out_dim + j] =
          reduce_add(sum) + (job.bias == nullptr ? 0 : job.bias[j]);
    }
  }
}

}  // namespace TK_LEVEL
