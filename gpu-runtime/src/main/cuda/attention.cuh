// Rotary embedding, the paged cache and attention over it.
//
// The cache of a layer is [block][kv head][keys, values][BLOCK_TOKENS][DIM] in bfloat16; DIM is a head's
// dimensions rounded up to one of the sizes below, the rest being zero.
// The scalar references, in plain arithmetic, are in KernelsTest.java.
#pragma once

#include "primitives.cuh"

constexpr int BLOCK_TOKENS = 16;
constexpr int KEY_TILE = 32;  // keys multiplied at once
constexpr int KEY_SPAN = 256; // keys whose softmax is summed up before it is merged with those before

/// Normalises (where there are norms) and turns the heads of a row, stores its keys and values into the
/// cache, and its queries into rows of heads * padded_dim. One warp a head, heads along y. A row whose slot
/// is negative only fills the batch up.
extern "C" __global__ void rotate_and_store(const bf16* qkv, int stride, const int* positions,
                                            const int* slots, const float* cosines, const float* sines,
                                            const float* query_norm, const float* key_norm, float epsilon,
                                            int heads, int kv_heads, int head_dim, int padded_dim,
                                            bf16* queries, bf16* cache) {
  const int row = blockIdx.x;
  const int head = blockIdx.y * (blockDim.x / 32) + warp();
  const int slot = slots[row];
  if (head >= heads + 2 * kv_heads || slot < 0) {
    return;
  }
  const bf16* from = qkv + static_cast<int64_t>(row) * stride + head * head_dim;
  const auto cached = [&](int kv_head, int values) {
    const int64_t block = static_cast<int64_t>(slot / BLOCK_TOKENS) * kv_heads + kv_head;
    return cache + ((block * 2 + values) * BLOCK_TOKENS + slot % BLOCK_TOKENS) * padded_dim;
  };
  if (head >= heads + kv_heads) {
    bf16* to = cached(head - heads - kv_heads, 1);
    for (int i = lane(); i < head_dim; i += 32) {
      to[i] = from[i];
    }
    return;
  }
  const bool query = head < heads;
  bf16* to = query ? queries + (static_cast<int64_t>(row) * heads + head) * padded_dim : cached(head - heads, 0);
  const float* norm = query ? query_norm : key_norm;
  float scale = 1;
  if (norm) {
    float squares = 0;
    for (int i = lane(); i < head_dim; i += 32) {
      squares += to_float(from[i]) * to_float(from[i]);
    }
    scale = 1.0f / sqrtf(warp_sum(squares) / head_dim + epsilon);
  }
  const int half = head_dim / 2;
  const int64_t angles = static_cast<int64_t>(positions[row]) * half;
  for (int i = lane(); i < half; i += 32) {
    const float a = to_float(from[i]) * scale * (norm ? norm[i] : 1);
    const float b = to_float(from[half + i]) * scale * (norm ? norm[half + i] : 1);
    const float cosine = cosines[angles + i];
    const float sine = sines[angles + i];
    to[i] = to_bf16(a * cosine - b * sine);
    to[half + i] = to_bf16(b * cosine + a * sine);
  }
}
KERNEL_ENTRY(rotate_and_store)

/// Some queries of one sequence: query i is head i % group of the group at position i / group.
struct AttentionItem {
  int row;        // the sequence's first row in the batch
  int position;   // that row's position
  int count;      // the sequence's rows in the batch; 0 for an item that only fills the launch up
  int first;      // the first query of this item
  int first_span; // spans of keys that this item walks
  int end_span;
  int partial;    // where a single span's result goes; -1 where all are walked and the output is written
  int blocks;     // where the sequence's blocks begin in the table
};

/// What is left of two running softmax sums when they are put together.
struct Merge {
  float max;
  float keep; // factor of what was there
  float take; // factor of what is added
};

/// A side that has seen no key yet has a maximum of minus infinity and weighs nothing.
__device__ __forceinline__ Merge merge(float before, float added) {
  const float max = fmaxf(before, added);
  const float base = max == -INFINITY ? 0 : max;
  return {max, exp2_fast(before - base), exp2_fast(added - base)};
}

__device__ __forceinline__ float merged(const Merge& by, float before, float added) {
  return fmaf(before, by.keep, added * by.take);
}

/// Attention of one item, WARPS * 16 queries, for the KV head blockIdx.y.
///
/// Keys are walked in tiles of KEY_TILE at multiples of KEY_TILE, and the running softmax starts anew at
/// each multiple of KEY_SPAN; the spans' results are merged in order. What a query does not see adds exact
/// zeros. So its bits depend neither on the chunk it came in nor on who walks which spans: an item may
/// take one span each (decodes, for parallelism) or all of them.
template <int DIM, int WARPS>
__device__ __forceinline__ void attend(const bf16* queries, const bf16* cache, const int* table,
                                       const AttentionItem* items, int heads, int kv_heads, int head_dim,
                                       int window, float scale, bf16* output, int output_stride,
                                       float* partials) {
  constexpr int THREADS = 32 * WARPS;
  constexpr int CHUNKS = DIM / 8;
  const AttentionItem item = items[blockIdx.x];
  if (item.count == 0) {
    return;
  }
  const int kv_head = blockIdx.y;
  const int group = heads / kv_heads;
  const int all = item.count * group;
  bf16* query_tile = shared_memory<bf16>();
  bf16* key_tiles = query_tile + WARPS * 16 * DIM;
  bf16* value_tiles = key_tiles + 2 * KEY_TILE * DIM;

  const int last = min(item.first + WARPS * 16, all) - 1;
  const int end = min(item.position + last / group + 1, item.end_span * KEY_SPAN);
  const int visible = max(0, item.position + item.first / group + 1 - window);
  const int begin = max(visible / KEY_TILE * KEY_TILE, item.first_span * KEY_SPAN);

  for (int i = threadIdx.x; i < WARPS * 16 * CHUNKS; i += THREADS) {
    const int query = min(item.first + i / CHUNKS, all - 1);
    const int64_t row = static_cast<int64_t>(item.row + query / group) * heads + kv_head * group + query % group;
    copy_async(query_tile + swizzled<DIM>(i / CHUNKS, i % CHUNKS), queries + row * DIM + i % CHUNKS * 8);
  }
  // Beyond the last key that somebody here sees it is read again, and masked: what lies in the slots there
  // may be anything, NaN too, which not even a weight of zero would hide.
  const auto load = [&](int start, int stage) {
    for (int i = threadIdx.x; i < KEY_TILE * CHUNKS; i += THREADS) {
      const int position = min(start + i / CHUNKS, end - 1);
      const int64_t block = static_cast<int64_t>(table[item.blocks + position / BLOCK_TOKENS]) * kv_heads + kv_head;
      const bf16* key = cache + (block * 2 * BLOCK_TOKENS + position % BLOCK_TOKENS) * DIM + i % CHUNKS * 8;
      const int to = stage * KEY_TILE * DIM + swizzled<DIM>(i / CHUNKS, i % CHUNKS);
      copy_async(key_tiles + to, key);
      copy_async(value_tiles + to, key + BLOCK_TOKENS * DIM);
    }
  };

  // This thread's two rows of its warp's 16.
  const int query[2] = {item.first + warp() * 16 + lane() / 4, item.first + warp() * 16 + lane() / 4 + 8};
  const int position[2] = {item.position + query[0] / group, item.position + query[1] / group};
  float highest[2] = {-INFINITY, -INFINITY};
  float total[2] = {};
  float sums[DIM / 8][4] = {};
  float span_highest[2] = {-INFINITY, -INFINITY};
  float span_total[2] = {};
  float span_sums[DIM / 8][4] = {};

  int stage = 0;
  load(begin, stage);
  commit_copies();
  for (int start = begin; start < end; start += KEY_TILE) {
    if (start + KEY_TILE < end) {
      load(start + KEY_TILE, 1 - stage);
    }
    commit_copies();
    wait_for_copies<1>();
    barrier();
    const bf16* keys = key_tiles + stage * KEY_TILE * DIM;
    const bf16* values = value_tiles + stage * KEY_TILE * DIM;

    float scores[KEY_TILE / 8][4] = {};
#pragma unroll
    for (int step = 0; step < DIM / 16; step++) {
      uint32_t a[4];
      load_matrices(a, query_tile + swizzled<DIM>(warp() * 16 + lane() % 16, step * 2 + lane() / 16));
#pragma unroll
      for (int j = 0; j < KEY_TILE / 16; j++) {
        uint32_t b[4];
        load_matrices(b, keys + swizzled<DIM>(j * 16 + lane() % 8 + lane() / 16 * 8, step * 2 + lane() / 8 % 2));
        multiply_accumulate(scores[j * 2], a, b[0], b[1]);
        multiply_accumulate(scores[j * 2 + 1], a, b[2], b[3]);
      }
    }

#pragma unroll
    for (int i = 0; i < 2; i++) {
      float tile_highest = -INFINITY;
#pragma unroll
      for (int j = 0; j < KEY_TILE / 8; j++) {
#pragma unroll
        for (int e = 0; e < 2; e++) {
          const int key = start + j * 8 + lane() % 4 * 2 + e;
          float& score = scores[j][i * 2 + e];
          score = key <= position[i] && position[i] - key < window ? score * scale : -INFINITY;
          tile_highest = fmaxf(tile_highest, score);
        }
      }
      tile_highest = fmaxf(tile_highest, shuffle_xor(tile_highest, 1));
      tile_highest = fmaxf(tile_highest, shuffle_xor(tile_highest, 2));
      const float new_highest = fmaxf(span_highest[i], tile_highest);
      const float base = new_highest == -INFINITY ? 0 : new_highest;
      const float keep = exp2_fast(span_highest[i] - base);
      span_highest[i] = new_highest;
      span_total[i] *= keep;
#pragma unroll
      for (int j = 0; j < KEY_TILE / 8; j++) {
#pragma unroll
        for (int e = 0; e < 2; e++) {
          float& score = scores[j][i * 2 + e];
          score = exp2_fast(score - base);
          span_total[i] += score;
        }
      }
#pragma unroll
      for (int j = 0; j < DIM / 8; j++) {
        span_sums[j][i * 2] *= keep;
        span_sums[j][i * 2 + 1] *= keep;
      }
    }

#pragma unroll
    for (int step = 0; step < KEY_TILE / 16; step++) {
      const uint32_t a[4] = {pack_bf16(scores[step * 2][0], scores[step * 2][1]),
                             pack_bf16(scores[step * 2][2], scores[step * 2][3]),
                             pack_bf16(scores[step * 2 + 1][0], scores[step * 2 + 1][1]),
                             pack_bf16(scores[step * 2 + 1][2], scores[step * 2 + 1][3])};
#pragma unroll
      for (int j = 0; j < DIM / 16; j++) {
        uint32_t b[4];
        load_matrices_transposed(b, values + swizzled<DIM>(step * 16 + lane() % 16, j * 2 + lane() / 16));
        multiply_accumulate(span_sums[j * 2], a, b[0], b[1]);
        multiply_accumulate(span_sums[j * 2 + 1], a, b[2], b[3]);
      }
    }

    if (start + KEY_TILE >= end || (start + KEY_TILE) % KEY_SPAN == 0) {
#pragma unroll
      for (int i = 0; i < 2; i++) {
        span_total[i] += shuffle_xor(span_total[i], 1);
        span_total[i] += shuffle_xor(span_total[i], 2);
        const Merge by = merge(highest[i], span_highest[i]);
        highest[i] = by.max;
        total[i] = merged(by, total[i], span_total[i]);
        span_highest[i] = -INFINITY;
        span_total[i] = 0;
#pragma unroll
        for (int j = 0; j < DIM / 8; j++) {
#pragma unroll
          for (int e = i * 2; e < i * 2 + 2; e++) {
            sums[j][e] = merged(by, sums[j][e], span_sums[j][e]);
            span_sums[j][e] = 0;
          }
        }
      }
    }
    barrier(); // all have done with the stage that is loaded next
    stage = 1 - stage;
  }
  wait_for_copies<0>(); // where a window hides the whole span, its first tile is still under way

#pragma unroll
  for (int i = 0; i < 2; i++) {
    const int row = lane() / 4 + i * 8;
    if (item.partial >= 0) {
      // Only items of one warp are split.
      float* to = partials + ((static_cast<int64_t>(item.partial) * kv_heads + kv_head) * 16 + row) * (DIM + 2);
#pragma unroll
      for (int j = 0; j < DIM / 8; j++) {
        to[j * 8 + lane() % 4 * 2] = sums[j][i * 2];
        to[j * 8 + lane() % 4 * 2 + 1] = sums[j][i * 2 + 1];
      }
      if (lane() % 4 == 0) {
        to[DIM] = highest[i];
        to[DIM + 1] = total[i];
      }
    } else if (query[i] < all) {
      bf16* to = output + static_cast<int64_t>(item.row + query[i] / group) * output_stride +
                 (kv_head * group + query[i] % group) * head_dim;
#pragma unroll
      for (int j = 0; j < DIM / 8; j++) {
        const int d = j * 8 + lane() % 4 * 2;
        if (d < head_dim) {
          *reinterpret_cast<uint32_t*>(to + d) = pack_bf16(sums[j][i * 2] / total[i], sums[j][i * 2 + 1] / total[i]);
        }
      }
    }
  }
}

/// Merges the spans of items that were split, as attend() would have: one item, and one KV head along y,
/// a block. Here an item's `partial` is that of its first span.
extern "C" __global__ void merge_spans(const float* partials, const AttentionItem* items, int heads,
                                       int kv_heads, int head_dim, int padded_dim, bf16* output,
                                       int output_stride) {
  const AttentionItem item = items[blockIdx.x];
  const int kv_head = blockIdx.y;
  const int group = heads / kv_heads;
  const int queries = min(16, item.count * group - item.first);
  for (int i = threadIdx.x; i < queries * head_dim; i += blockDim.x) {
    const int row = i / head_dim;
    const int d = i % head_dim;
    float highest = -INFINITY;
    float total = 0;
    float sum = 0;
    for (int span = 0; span < item.end_span - item.first_span; span++) {
      const int64_t part = static_cast<int64_t>(item.partial + span) * kv_heads + kv_head;
      const float* from = partials + (part * 16 + row) * (padded_dim + 2);
      const Merge by = merge(highest, from[padded_dim]);
      highest = by.max;
      total = merged(by, total, from[padded_dim + 1]);
      sum = merged(by, sum, from[d]);
    }
    const int query = item.first + row;
    output[static_cast<int64_t>(item.row + query / group) * output_stride +
           (kv_head * group + query % group) * head_dim + d] = to_bf16(sum / total);
  }
}
KERNEL_ENTRY(merge_spans)

#define ATTEND(NAME, DIM, WARPS)                                                                             \
  extern "C" __global__ void __launch_bounds__(32 * WARPS)                                                   \
      NAME(const bf16* queries, const bf16* cache, const int* table, const AttentionItem* items, int heads,  \
           int kv_heads, int head_dim, int window, float scale, bf16* output, int output_stride,             \
           float* partials) {                                                                                \
    attend<DIM, WARPS>(queries, cache, table, items, heads, kv_heads, head_dim, window, scale, output,       \
                       output_stride, partials);                                                             \
  }                                                                                                          \
  KERNEL_ENTRY(NAME)

// One warp for decodes, whose queries are few; four for prefill chunks, which share the loads of a tile.
ATTEND(attend_16x1, 16, 1)
ATTEND(attend_16x4, 16, 4)
ATTEND(attend_32x1, 32, 1)
ATTEND(attend_32x4, 32, 4)
ATTEND(attend_64x1, 64, 1)
ATTEND(attend_64x4, 64, 4)
ATTEND(attend_128x1, 128, 1)
ATTEND(attend_128x4, 128, 4)
