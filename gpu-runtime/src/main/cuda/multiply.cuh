// Products with a weight: y[rows, outputs] = x[rows, k] * w[outputs, k]^T + bias, bfloat16 with float sums.
//
// Each output is one chain of multiply_accumulate over k in steps of 16 from 0: no split of k, no sum across
// warps. Every tile shape below therefore yields the same bits, and a row's bits do not depend on the rows
// beside it: a decode alone, among 64, and as part of a prefill chunk are the same.
//
// The order of blocks is rows first, so that those which read the same weights run together and share
// them in the L2 cache. A weight's rows and an input's rows are `k` elements apart; `k` is a multiple of
// K_TILE, the elements beyond the weight's own inputs being zero on both sides.
// The scalar references, in plain arithmetic, are in KernelsTest.java.
#pragma once

#include "primitives.cuh"

constexpr int K_TILE = 64; // 128 bytes a row: the eight 16-byte chunks fill the banks once

__device__ __forceinline__ void store_pair(bf16* to, float first, float second) {
  *reinterpret_cast<uint32_t*>(to) = pack_bf16(first, second);
}

__device__ __forceinline__ void store_pair(float* to, float first, float second) {
  to[0] = first;
  to[1] = second;
}

/// Stores what a warp has summed up for its rows and outputs, which begin at those given.
template <int WARP_ROWS, int WARP_OUTPUTS, class Y>
__device__ __forceinline__ void store_sums(const float (&sums)[WARP_ROWS / 16][WARP_OUTPUTS / 8][4],
                                           const float* bias, Y* y, int y_stride, int warp_row,
                                           int warp_output, int rows, int outputs) {
#pragma unroll
  for (int j = 0; j < WARP_OUTPUTS / 8; j++) {
    const int output = warp_output + j * 8 + lane() % 4 * 2;
    if (output < outputs) {
      const bool pair = output + 1 < outputs;
      const float bias0 = bias ? bias[output] : 0;
      const float bias1 = bias && pair ? bias[output + 1] : 0;
#pragma unroll
      for (int i = 0; i < WARP_ROWS / 8; i++) {
        const int row = warp_row + i * 8 + lane() / 4;
        if (row < rows) {
          const float* sum = sums[i / 2][j] + i % 2 * 2;
          // What lies beyond an odd last output is the zero that the next product's k may need there.
          store_pair(y + static_cast<int64_t>(row) * y_stride + output, sum[0] + bias0,
                     pair ? sum[1] + bias1 : 0);
        }
      }
    }
  }
}

/// Computes one tile of ROWS x OUTPUTS by ROW_WARPS x OUTPUT_WARPS warps; STAGES tiles along k are in flight.
template <int ROWS, int OUTPUTS, int ROW_WARPS, int OUTPUT_WARPS, int STAGES, class Y>
__device__ __forceinline__ void multiply_tile(const bf16* x, const bf16* w, int k, const float* bias, Y* y,
                                              int y_stride, int rows, int outputs) {
  constexpr int THREADS = 32 * ROW_WARPS * OUTPUT_WARPS;
  constexpr int WARP_ROWS = ROWS / ROW_WARPS;
  constexpr int WARP_OUTPUTS = OUTPUTS / OUTPUT_WARPS;
  static_assert(WARP_ROWS % 16 == 0 && WARP_OUTPUTS % 16 == 0, "whole matrices");
  bf16* x_tiles = shared_memory<bf16>();
  bf16* w_tiles = x_tiles + STAGES * ROWS * K_TILE;
  const int first_row = blockIdx.x * ROWS;
  const int first_output = blockIdx.y * OUTPUTS;

  // Beyond the last row or output the last one is read again, and not stored.
  const auto load = [&](int tile) {
    bf16* x_tile = x_tiles + tile % STAGES * ROWS * K_TILE;
    bf16* w_tile = w_tiles + tile % STAGES * OUTPUTS * K_TILE;
    for (int i = threadIdx.x; i < ROWS * 8; i += THREADS) {
      const int row = min(first_row + i / 8, rows - 1);
      copy_async(x_tile + swizzled<K_TILE>(i / 8, i % 8),
                 x + static_cast<int64_t>(row) * k + tile * K_TILE + i % 8 * 8);
    }
    for (int i = threadIdx.x; i < OUTPUTS * 8; i += THREADS) {
      const int output = min(first_output + i / 8, outputs - 1);
      copy_async(w_tile + swizzled<K_TILE>(i / 8, i % 8),
                 w + static_cast<int64_t>(output) * k + tile * K_TILE + i % 8 * 8);
    }
  };

  const int warp_row = warp() / OUTPUT_WARPS * WARP_ROWS;
  const int warp_output = warp() % OUTPUT_WARPS * WARP_OUTPUTS;
  float sums[WARP_ROWS / 16][WARP_OUTPUTS / 8][4] = {};
  const int tiles = k / K_TILE;
  for (int tile = 0; tile < STAGES - 1; tile++) {
    if (tile < tiles) {
      load(tile);
    }
    commit_copies();
  }
  for (int tile = 0; tile < tiles; tile++) {
    wait_for_copies<STAGES - 2>();
    barrier(); // this tile is there for all, and all have done with the one that is overwritten next
    if (tile + STAGES - 1 < tiles) {
      load(tile + STAGES - 1);
    }
    commit_copies();
    const bf16* x_tile = x_tiles + tile % STAGES * ROWS * K_TILE;
    const bf16* w_tile = w_tiles + tile % STAGES * OUTPUTS * K_TILE;
#pragma unroll
    for (int step = 0; step < K_TILE / 16; step++) {
      uint32_t a[WARP_ROWS / 16][4];
#pragma unroll
      for (int i = 0; i < WARP_ROWS / 16; i++) {
        load_matrices(a[i], x_tile + swizzled<K_TILE>(warp_row + i * 16 + lane() % 16, step * 2 + lane() / 16));
      }
#pragma unroll
      for (int j = 0; j < WARP_OUTPUTS / 16; j++) {
        uint32_t b[4];
        load_matrices(b, w_tile + swizzled<K_TILE>(warp_output + j * 16 + lane() % 8 + lane() / 16 * 8,
                                                   step * 2 + lane() / 8 % 2));
#pragma unroll
        for (int i = 0; i < WARP_ROWS / 16; i++) {
          multiply_accumulate(sums[i][j * 2], a[i], b[0], b[1]);
          multiply_accumulate(sums[i][j * 2 + 1], a[i], b[2], b[3]);
        }
      }
    }
  }

  store_sums<WARP_ROWS, WARP_OUTPUTS>(sums, bias, y, y_stride, first_row + warp_row, first_output + warp_output,
                                      rows, outputs);
}

#define MULTIPLY(NAME, ROWS, OUTPUTS, ROW_WARPS, OUTPUT_WARPS, STAGES, Y)                                      \
  extern "C" __global__ void __launch_bounds__(32 * ROW_WARPS * OUTPUT_WARPS)                                  \
      NAME(const bf16* x, const bf16* w, int k, const float* bias, Y* y, int y_stride, int rows, int outputs) { \
    multiply_tile<ROWS, OUTPUTS, ROW_WARPS, OUTPUT_WARPS, STAGES>(x, w, k, bias, y, y_stride, rows, outputs);  \
  }                                                                                                            \
  KERNEL_ENTRY(NAME)

// Decodes: narrow along the outputs, so that there are blocks enough to keep the memory busy.
MULTIPLY(multiply_16x32, 16, 32, 1, 2, 6, bf16)
MULTIPLY(multiply_64x64, 64, 64, 2, 2, 4, bf16)
MULTIPLY(multiply_128x128, 128, 128, 2, 4, 3, bf16)

// Logits stay floats.
MULTIPLY(logits_16x32, 16, 32, 1, 2, 6, float)
MULTIPLY(logits_64x64, 64, 64, 2, 2, 4, float)
MULTIPLY(logits_128x128, 128, 128, 2, 4, 3, float)

// Quantised weights: eight bits, and a float scale for each output and group of K_TILE inputs. A group is
// multiplied as exact bfloat16 into sums of its own, which are then scaled and added, group after group; so
// here, too, all tiles yield the same bits.
//
// The scales lie as [group][outputs, rounded up to SCALE_OUTPUTS], the weights as [output][k] with 128
// added. Within a group the 16 bytes of a thread lie together: byte step * 4 + half * 2 + e of chunk q is
// that of input step * 16 + half * 8 + q * 2 + e, which is where multiply_accumulate wants it.

constexpr int SCALE_OUTPUTS = 128; // of the widest tile

struct alignas(16) QuantisedChunk {
  uint32_t steps[K_TILE / 16];
};

/// Two weights of eight bits as bfloat16, which holds them exactly: 2^23 and the stored byte, less what both add.
__device__ __forceinline__ uint32_t widened(uint32_t pair) {
  return pack_bf16(bits_to_float(0x4b000000u | (pair & 0xff)) - 8388736.0f,
                   bits_to_float(0x4b000000u | (pair >> 8 & 0xff)) - 8388736.0f);
}

/// As multiply_tile, with quantised weights.
template <int ROWS, int OUTPUTS, int ROW_WARPS, int OUTPUT_WARPS, int STAGES, class Y>
__device__ __forceinline__ void multiply_quantised_tile(const bf16* x, const uint8_t* w, const float* scales, int k,
                                                        const float* bias, Y* y, int y_stride, int rows,
                                                        int outputs) {
  constexpr int THREADS = 32 * ROW_WARPS * OUTPUT_WARPS;
  constexpr int WARP_ROWS = ROWS / ROW_WARPS;
  constexpr int WARP_OUTPUTS = OUTPUTS / OUTPUT_WARPS;
  static_assert(WARP_ROWS % 16 == 0 && WARP_OUTPUTS % 8 == 0, "whole matrices");
  static_assert(SCALE_OUTPUTS % OUTPUTS == 0, "scales of a tile are always there");
  bf16* x_tiles = shared_memory<bf16>();
  uint8_t* w_tiles = reinterpret_cast<uint8_t*>(x_tiles + STAGES * ROWS * K_TILE);
  float* scale_tiles = reinterpret_cast<float*>(w_tiles + STAGES * OUTPUTS * K_TILE);
  const int first_row = blockIdx.x * ROWS;
  const int first_output = blockIdx.y * OUTPUTS;
  const int scale_stride = (outputs + SCALE_OUTPUTS - 1) / SCALE_OUTPUTS * SCALE_OUTPUTS;

  const auto load = [&](int tile) {
    bf16* x_tile = x_tiles + tile % STAGES * ROWS * K_TILE;
    uint8_t* w_tile = w_tiles + tile % STAGES * OUTPUTS * K_TILE;
    float* scale_tile = scale_tiles + tile % STAGES * OUTPUTS;
    for (int i = threadIdx.x; i < ROWS * 8; i += THREADS) {
      const int row = min(first_row + i / 8, rows - 1);
      copy_async(x_tile + swizzled<K_TILE>(i / 8, i % 8),
                 x + static_cast<int64_t>(row) * k + tile * K_TILE + i % 8 * 8);
    }
    for (int i = threadIdx.x; i < OUTPUTS * 4; i += THREADS) {
      const int output = min(first_output + i / 4, outputs - 1);
      copy_async(w_tile + i * 16, w + static_cast<int64_t>(output) * k + tile * K_TILE + i % 4 * 16);
    }
    for (int i = threadIdx.x; i < OUTPUTS / 4; i += THREADS) {
      copy_async(scale_tile + i * 4, scales + static_cast<int64_t>(tile) * scale_stride + first_output + i * 4);
    }
  };

  const int warp_row = warp() / OUTPUT_WARPS * WARP_ROWS;
  const int warp_output = warp() % OUTPUT_WARPS * WARP_OUTPUTS;
  float sums[WARP_ROWS / 16][WARP_OUTPUTS / 8][4] = {};
  const int tiles = k / K_TILE;
  for (int tile = 0; tile < STAGES - 1; tile++) {
    if (tile < tiles) {
      load(tile);
    }
    commit_copies();
  }
  for (int tile = 0; tile < tiles; tile++) {
    wait_for_copies<STAGES - 2>();
    barrier(); // this tile is there for all, and all have done with the one that is overwritten next
    if (tile + STAGES - 1 < tiles) {
      load(tile + STAGES - 1);
    }
    commit_copies();
    const bf16* x_tile = x_tiles + tile % STAGES * ROWS * K_TILE;
    const uint8_t* w_tile = w_tiles + tile % STAGES * OUTPUTS * K_TILE;
    const float* scale_tile = scale_tiles + tile % STAGES * OUTPUTS;
    uint32_t a[WARP_ROWS / 16][K_TILE / 16][4];
#pragma unroll
    for (int i = 0; i < WARP_ROWS / 16; i++) {
#pragma unroll
      for (int step = 0; step < K_TILE / 16; step++) {
        load_matrices(a[i][step], x_tile + swizzled<K_TILE>(warp_row + i * 16 + lane() % 16, step * 2 + lane() / 16));
      }
    }
#pragma unroll
    for (int j = 0; j < WARP_OUTPUTS / 8; j++) {
      const int output = warp_output + j * 8;
      const QuantisedChunk chunk =
          *reinterpret_cast<const QuantisedChunk*>(w_tile + (output + lane() / 4) * K_TILE + lane() % 4 * 16);
      float group[WARP_ROWS / 16][4] = {};
#pragma unroll
      for (int step = 0; step < K_TILE / 16; step++) {
        const uint32_t b0 = widened(chunk.steps[step]);
        const uint32_t b1 = widened(chunk.steps[step] >> 16);
#pragma unroll
        for (int i = 0; i < WARP_ROWS / 16; i++) {
          multiply_accumulate(group[i], a[i][step], b0, b1);
        }
      }
      const float* scale = scale_tile + output + lane() % 4 * 2;
#pragma unroll
      for (int i = 0; i < WARP_ROWS / 16; i++) {
#pragma unroll
        for (int e = 0; e < 4; e++) {
          sums[i][j][e] = fmaf(group[i][e], scale[e % 2], sums[i][j][e]);
        }
      }
    }
  }
  store_sums<WARP_ROWS, WARP_OUTPUTS>(sums, bias, y, y_stride, first_row + warp_row, first_output + warp_output,
                                      rows, outputs);
}

#define MULTIPLY_QUANTISED(NAME, ROWS, OUTPUTS, ROW_WARPS, OUTPUT_WARPS, STAGES, Y)                            \
  extern "C" __global__ void __launch_bounds__(32 * ROW_WARPS * OUTPUT_WARPS)                                  \
      NAME(const bf16* x, const uint8_t* w, const float* scales, int k, const float* bias, Y* y, int y_stride, \
           int rows, int outputs) {                                                                            \
    multiply_quantised_tile<ROWS, OUTPUTS, ROW_WARPS, OUTPUT_WARPS, STAGES>(x, w, scales, k, bias, y,          \
                                                                            y_stride, rows, outputs);          \
  }                                                                                                            \
  KERNEL_ENTRY(NAME)

MULTIPLY_QUANTISED(multiply_int8_16x32, 16, 32, 1, 2, 6, bf16)
MULTIPLY_QUANTISED(multiply_int8_64x64, 64, 64, 2, 2, 4, bf16)
MULTIPLY_QUANTISED(multiply_int8_128x128, 128, 128, 2, 4, 3, bf16)
MULTIPLY_QUANTISED(logits_int8_16x32, 16, 32, 1, 2, 6, float)
MULTIPLY_QUANTISED(logits_int8_64x64, 64, 64, 2, 2, 4, float)
MULTIPLY_QUANTISED(logits_int8_128x128, 128, 128, 2, 4, 3, float)
