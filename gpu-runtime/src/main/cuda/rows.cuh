// What is computed row by row: embedding, normalisations, activations. A row is one block's, or one
// element one thread's, so that no other row can change its bits.
// The scalar references, in plain arithmetic, are in KernelsTest.java.
#pragma once

#include "primitives.cuh"

constexpr int NORM_THREADS = 256;

/// residual[row] = embedding[token[row]]. One block a row.
extern "C" __global__ void embed(const int* tokens, const bf16* embedding, int stride, float* residual,
                                 int width) {
  const bf16* from = embedding + static_cast<int64_t>(tokens[blockIdx.x]) * stride;
  float* to = residual + static_cast<int64_t>(blockIdx.x) * width;
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    to[i] = to_float(from[i]);
  }
}
KERNEL_ENTRY(embed)

/// residual[row] += delta[row]. One block a row.
extern "C" __global__ void add(float* residual, const bf16* delta, int stride, int width) {
  float* row = residual + static_cast<int64_t>(blockIdx.x) * width;
  const bf16* summand = delta + static_cast<int64_t>(blockIdx.x) * stride;
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    row[i] += to_float(summand[i]);
  }
}
KERNEL_ENTRY(add)

/// residual[row] += delta[row], where there is a delta; normed[row] = layer_norm(residual[row]), or RMSNorm
/// where there is no bias. With `rows`, normed[i] is of residual[rows[i]] + delta[rows[i]], and the residual
/// stays as it is. One block of NORM_THREADS a row, NORM_THREADS / 32 floats of shared memory.
extern "C" __global__ void normalise(float* residual, const bf16* delta, int delta_stride, const int* rows,
                                     int width, const float* weight, const float* bias, float epsilon,
                                     bf16* normed, int stride) {
  const int64_t source = rows ? rows[blockIdx.x] : blockIdx.x;
  float* row = residual + source * width;
  const bf16* summand = delta + (delta ? source * delta_stride : 0);
  bf16* to = normed + static_cast<int64_t>(blockIdx.x) * stride;
  const auto x = [&](int i) { return delta ? row[i] + to_float(summand[i]) : row[i]; };
  float mean = 0;
  if (bias) {
    float sum = 0;
    for (int i = threadIdx.x; i < width; i += NORM_THREADS) {
      sum += x(i);
    }
    mean = block_sum<NORM_THREADS>(sum) / width;
  }
  float squares = 0;
  for (int i = threadIdx.x; i < width; i += NORM_THREADS) {
    squares += (x(i) - mean) * (x(i) - mean);
  }
  const float scale = 1.0f / sqrtf(block_sum<NORM_THREADS>(squares) / width + epsilon);
  for (int i = threadIdx.x; i < width; i += NORM_THREADS) {
    const float value = x(i);
    if (delta && !rows) {
      row[i] = value;
    }
    const float scaled = (value - mean) * scale * weight[i];
    to[i] = to_bf16(bias ? scaled + bias[i] : scaled);
  }
}
KERNEL_ENTRY(normalise)

constexpr float LOG2_E = 1.44269504088896340736f;

/// activated = silu(gate) * up; `up` lies `width` elements behind the gate. Blocks along x: rows.
extern "C" __global__ void silu_multiply(const bf16* gate_and_up, int stride, bf16* activated,
                                         int activated_stride, int width) {
  const int i = blockIdx.y * blockDim.x + threadIdx.x;
  if (i < width) {
    const bf16* row = gate_and_up + static_cast<int64_t>(blockIdx.x) * stride;
    const float gate = to_float(row[i]);
    const float silu = gate / (1.0f + exp2_fast(-gate * LOG2_E));
    activated[static_cast<int64_t>(blockIdx.x) * activated_stride + i] = to_bf16(silu * to_float(row[width + i]));
  }
}
KERNEL_ENTRY(silu_multiply)

/// activated = gelu(up), the exact one. Blocks along x: rows.
extern "C" __global__ void gelu(const bf16* up, int stride, bf16* activated, int activated_stride, int width) {
  const int i = blockIdx.y * blockDim.x + threadIdx.x;
  if (i < width) {
    const float x = to_float(up[static_cast<int64_t>(blockIdx.x) * stride + i]);
    activated[static_cast<int64_t>(blockIdx.x) * activated_stride + i] =
        to_bf16(0.5f * x * (1.0f + erff(x * 0.70710678118654752440f)));
  }
}
KERNEL_ENTRY(gelu)
