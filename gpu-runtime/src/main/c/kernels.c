// Products with weights on processors that multiply bfloat16 pairs (AVX512-BF16) and groups of four
// bytes (AVX512-VNNI) in one instruction, and attention. NativeMatrix packs the weights and calls
// the products.
//
// A panel is 32 outputs wide, two vectors. Each output is one chain of dot products over its inputs
// in rising order, whatever the tile of rows, so that a row's result does not depend on its
// neighbours. Nothing is kept between calls, and nothing is allocated: any thread may call.

#include <immintrin.h>
#include <stdint.h>

enum {
  LANES = 16,
  VECTORS = 2, // of outputs
  PANEL = VECTORS * LANES,
  ROWS = 12,        // 24 accumulators, and their operands, in 32 registers
  QUANTISED_ROWS = 6, // as above, with an integer and a float accumulator each
  ROOM = 12 * 1024, // inputs of all rows of a tile, converted, so that they fit in the L1 cache
  STEPS = 1024,     // inputs of one call with bytes
  LONE_STEPS = 6 * STEPS, // of a single row, for which there is more room
  HEADER_BYTES = 64,
  QUAD_BYTES = 3 * PANEL * 2, // four inputs in twelve bits
  // Many rows keep the processor from looking far ahead by itself: with 8 and 16 this yields 1.4 and
  // 1.5 times the speed on Zen 5 and with up to 4 next to nothing, with 4, 8 and 16 of int8 1.9, 1.7 and
  // 1.3 times. From 3 to 6 KiB are as good.
  AHEAD = 4096,
  GROUP = 64,       // inputs that share a scale
  GROUP_BYTES = PANEL * 4 + PANEL * 4 + GROUP * PANEL // scales, corrections, weights
};

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

// Whether this processor, and the operating system, have what the kernels need.
int sarathi_supported(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bf16") &&
         __builtin_cpu_supports("avx512vnni");
}

// Only from here on, so that the question can be asked of every processor.
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512bf16,avx512vnni,fma")

// ---- bfloat16 in twelve bits. Of a panel's weights nearly all have one of fifteen exponents in a row,
// so that four bits tell which, beside sign and fraction: a quarter less to read, and a single row is
// a matter of reading. Exponent 0, of zeros, is told too; what has another is 0 here and added by the
// caller. A panel holds the exponent below its fifteen, and then, four inputs after four inputs: signs
// and fractions of the first pair, of the second, and the exponents of both, in the order in which
// unpacking bytes makes two vectors of pairs.

typedef struct {
  __m512i upper; // bits 7 to 1 of the exponent that a code stands for
  __m512i lower; // bit 0, where the weight's lower byte has it
} exponents_t;

INLINE exponents_t bf16_exponents(const uint8_t *panel) {
  const __m128i codes = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m128i e = _mm_maskz_add_epi8(0xFFFE, codes, _mm_set1_epi8((char)panel[0]));
  return (exponents_t){
      _mm512_broadcast_i32x4(_mm_and_si128(_mm_srli_epi16(e, 1), _mm_set1_epi8(0x7F))),
      _mm512_broadcast_i32x4(_mm_slli_epi16(_mm_and_si128(e, _mm_set1_epi8(1)), 7))};
}

// The weights of four inputs: two vectors for each pair.
INLINE void bf16_widen(
    const exponents_t exponents, const uint8_t *quad, __m512bh weights[2][VECTORS]) {
  const __m512i nibble = _mm512_set1_epi8(0x0F);
  const __m512i sign = _mm512_set1_epi8((char)0x80);
  const __m512i both = _mm512_load_si512(quad + 2 * 64);
  UNROLL for (int pair = 0; pair < 2; pair++) {
    const __m512i rest = _mm512_load_si512(quad + pair * 64);
    const __m512i codes = _mm512_and_si512(pair ? _mm512_srli_epi16(both, 4) : both, nibble);
    // (rest & sign) | exponent, and (rest & ~sign) | exponent
    const __m512i upper = _mm512_ternarylogic_epi32(
        rest, sign, _mm512_shuffle_epi8(exponents.upper, codes), 0xEA);
    const __m512i lower = _mm512_ternarylogic_epi32(
        rest, sign, _mm512_shuffle_epi8(exponents.lower, codes), 0xBA);
    weights[pair][0] = (__m512bh)_mm512_unpacklo_epi8(lower, upper);
    weights[pair][1] = (__m512bh)_mm512_unpackhi_epi8(lower, upper);
  }
}

// One panel for `rows` rows.
INLINE void bf16_tile(
    const int rows,
    const exponents_t exponents,
    const uint8_t *weights,
    const int quads,
    const uint32_t *x,
    const int x_stride,
    float *y,
    const int64_t y_stride) {
  __m512 sum[ROWS][VECTORS];
  UNROLL for (int r = 0; r < rows; r++) {
    UNROLL for (int v = 0; v < VECTORS; v++) {
      sum[r][v] = _mm512_loadu_ps(y + r * y_stride + v * LANES);
    }
  }
  for (int q = 0; q < quads; q++) {
    const uint8_t *quad = weights + (int64_t)q * QUAD_BYTES;
    __m512bh w[2][VECTORS];
    bf16_widen(exponents, quad, w);
    UNROLL for (int i = 0; i < QUAD_BYTES; i += 64) {
      _mm_prefetch((const char *)quad + AHEAD + i, _MM_HINT_T0);
    }
    UNROLL for (int pair = 0; pair < 2; pair++) {
      UNROLL for (int r = 0; r < rows; r++) {
        const __m512bh inputs = (__m512bh)_mm512_set1_epi32((int)x[r * x_stride + 2 * q + pair]);
        UNROLL for (int v = 0; v < VECTORS; v++) {
          sum[r][v] = _mm512_dpbf16_ps(sum[r][v], inputs, w[pair][v]);
        }
      }
    }
  }
  UNROLL for (int r = 0; r < rows; r++) {
    UNROLL for (int v = 0; v < VECTORS; v++) {
      _mm512_storeu_ps(y + r * y_stride + v * LANES, sum[r][v]);
    }
  }
}

// Rounds a row to bfloat16; past its end there are zeros, up to a whole vector.
INLINE void bf16_row(const float *from, const int steps, uint16_t *to) {
  for (int k = 0; k < steps; k += LANES) {
    const int left = steps - k;
    const __mmask16 mask = left >= LANES ? 0xFFFF : (__mmask16)((1 << left) - 1);
    const __m256bh v = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, from + k));
    _mm256_storeu_si256((__m256i *)(to + k), (__m256i)v);
  }
}

// y[rows][panels * 32] += x[rows][steps] * transpose(weights). `weights` points to a panel's first byte,
// and `first` is the first input, a multiple of four. The stride of panels counts bytes, all others
// floats; steps is at most ROOM divided by the rows or ROWS, and no multiple of four only for the last
// inputs of a row.
void sarathi_bf16(
    const uint8_t *weights,
    const int64_t panel_stride,
    const int32_t panels,
    const int32_t first,
    const int32_t steps,
    const float *x_base,
    const int64_t x_offset,
    const int64_t x_stride,
    float *y_base,
    const int64_t y_offset,
    const int64_t y_stride,
    const int32_t rows) {
  uint32_t converted[(ROOM + ROWS * LANES) / 2] __attribute__((aligned(64)));
  const float *x = x_base + x_offset;
  float *y = y_base + y_offset;
  const int quads = (steps + 3) / 4;
  const int pairs = (steps + LANES - 1) / LANES * (LANES / 2);
  for (int row = 0; row < rows;) {
    const int count = rows - row < ROWS ? rows - row : ROWS;
    for (int r = 0; r < count; r++) {
      bf16_row(x + (row + r) * x_stride, steps, (uint16_t *)(converted + r * pairs));
    }
    for (int p = 0; p < panels; p++) {
      const uint8_t *panel = weights + p * panel_stride;
      const uint8_t *from = panel + HEADER_BYTES + first / 4 * (int64_t)QUAD_BYTES;
      const exponents_t exponents = bf16_exponents(panel);
      float *to = y + row * y_stride + p * PANEL;
#define TILE(n)                                                                       \
  case n:                                                                             \
    bf16_tile(n, exponents, from, quads, converted, pairs, to, y_stride);             \
    break;
      switch (count) {
        TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
        TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12)
      }
#undef TILE
    }
    row += count;
  }
}

// Whether all of a row are finite numbers.
int32_t sarathi_bf16_finite(const uint16_t *row, const int32_t inputs) {
  const __m512i infinite = _mm512_set1_epi16(0x7F80);
  __mmask32 found = 0;
  for (int k = 0; k < inputs; k += 2 * LANES) {
    const int left = inputs - k;
    const __mmask32 mask = left >= 2 * LANES ? ~0u : (1u << left) - 1;
    const __m512i exponent = _mm512_and_si512(_mm512_maskz_loadu_epi16(mask, row + k), infinite);
    found |= _mm512_cmpeq_epi16_mask(exponent, infinite);
  }
  return found == 0;
}

// Four inputs of 32 rows as vectors of pairs. A row that is not there, at address 0, is all zeros.
INLINE void bf16_quad(const int64_t *rows, const int64_t offset, __m512i pairs[2][VECTORS]) {
  UNROLL for (int v = 0; v < VECTORS; v++) {
    __m256i halves[2][2];
    UNROLL for (int half = 0; half < 2; half++) {
      const __m512i at = _mm512_loadu_si512(rows + v * LANES + half * LANES / 2);
      const __mmask8 there = _mm512_test_epi64_mask(at, at);
      const __m512i four = _mm512_mask_i64gather_epi64(
          _mm512_setzero_si512(), there, _mm512_add_epi64(at, _mm512_set1_epi64(offset)), 0, 1);
      halves[0][half] = _mm512_cvtepi64_epi32(four);
      halves[1][half] = _mm512_cvtepi64_epi32(_mm512_srli_epi64(four, 32));
    }
    UNROLL for (int pair = 0; pair < 2; pair++) {
      pairs[pair][v] = _mm512_inserti64x4(
          _mm512_castsi256_si512(halves[pair][0]), halves[pair][1], 1);
    }
  }
}

// Packs the panel of 32 rows, given by their addresses; `below` is the exponent below the fifteen.
// Weights of other exponents are written to `apart`, in rising order of input: input * 32 + output,
// and in the lower 16 bits the weight. Returns how many there are, which may be more than `capacity`:
// then the first are there.
int32_t sarathi_bf16_pack(
    const int64_t *rows,
    const int32_t inputs,
    const int32_t below,
    uint8_t *panel,
    int64_t *apart,
    const int32_t capacity) {
  int32_t count = 0;
  panel[0] = (uint8_t)below;
  uint16_t tail[PANEL][4] = {0};
  int64_t tail_rows[PANEL];
  for (int r = 0; r < PANEL; r++) {
    for (int k = inputs / 4 * 4; rows[r] && k < inputs; k++) {
      tail[r][k % 4] = ((const uint16_t *)rows[r])[k];
    }
    tail_rows[r] = (int64_t)tail[r];
  }
  for (int q = 0; 4 * q < inputs; q++) {
    uint8_t *quad = panel + HEADER_BYTES + (int64_t)q * QUAD_BYTES;
    __m512i weights[2][VECTORS];
    if (4 * q + 4 <= inputs) {
      bf16_quad(rows, 8 * (int64_t)q, weights);
    } else {
      bf16_quad(tail_rows, 0, weights);
    }
    __m512i codes[2];
    UNROLL for (int pair = 0; pair < 2; pair++) {
      __m512i code[VECTORS];
      __m512i rest[VECTORS];
      UNROLL for (int v = 0; v < VECTORS; v++) {
        const __m512i w = weights[pair][v];
        const __m512i e = _mm512_and_si512(_mm512_srli_epi16(w, 7), _mm512_set1_epi16(0xFF));
        code[v] = _mm512_sub_epi16(e, _mm512_set1_epi16((short)below));
        const __mmask32 within = _mm512_cmple_epu16_mask(
            _mm512_sub_epi16(code[v], _mm512_set1_epi16(1)), _mm512_set1_epi16(14));
        const __mmask32 told = within | _mm512_testn_epi16_mask(e, e);
        code[v] = _mm512_maskz_mov_epi16(within, code[v]);
        rest[v] = _mm512_maskz_mov_epi16(told, _mm512_or_si512(
            _mm512_and_si512(_mm512_srli_epi16(w, 8), _mm512_set1_epi16(0x80)),
            _mm512_and_si512(w, _mm512_set1_epi16(0x7F))));
        if (told != ~0u) {
          uint16_t words[2 * LANES];
          _mm512_storeu_si512(words, w);
          for (__mmask32 left = ~told; left; left &= left - 1) {
            const int i = __builtin_ctz(left);
            if (count < capacity) {
              const int64_t input = 4 * q + 2 * pair + i % 2;
              apart[count] = (input * PANEL + v * LANES + i / 2) << 16 | words[i];
            }
            count++;
          }
        }
      }
      codes[pair] = _mm512_packus_epi16(code[0], code[1]);
      _mm512_store_si512(quad + pair * 64, _mm512_packus_epi16(rest[0], rest[1]));
    }
    _mm512_store_si512(
        quad + 2 * 64, _mm512_or_si512(codes[0], _mm512_slli_epi16(codes[1], 4)));
  }
  return count;
}

// ---- int8: a panel holds, group after group, 32 scales, 32 corrections, and the weights of four
// inputs at a time. A row's inputs are rounded to eight bits for each group too. The instruction
// takes unsigned inputs: they are raised by 128, which the corrections take back.

// One panel for `rows` rows.
INLINE void int8_tile(
    const int rows,
    const uint8_t *weights,
    const int groups,
    const uint8_t *x,
    const float *scales,
    float *y,
    const int64_t y_stride) {
  __m512 sum[QUANTISED_ROWS][VECTORS];
  UNROLL for (int r = 0; r < rows; r++) {
    UNROLL for (int v = 0; v < VECTORS; v++) {
      sum[r][v] = _mm512_loadu_ps(y + r * y_stride + v * LANES);
    }
  }
  for (int g = 0; g < groups; g++, weights += GROUP_BYTES) {
    __m512i dot[QUANTISED_ROWS][VECTORS];
    UNROLL for (int r = 0; r < rows; r++) {
      UNROLL for (int v = 0; v < VECTORS; v++) {
        dot[r][v] = _mm512_loadu_si512(weights + 4 * (PANEL + v * LANES));
      }
    }
    for (int k = 0; k < GROUP; k += 4) {
      __m512i w[VECTORS];
      UNROLL for (int v = 0; v < VECTORS; v++) {
        w[v] = _mm512_loadu_si512(weights + 4 * (2 * PANEL + v * LANES) + k * PANEL);
        _mm_prefetch((const char *)weights + AHEAD + k * PANEL + v * 64, _MM_HINT_T0);
      }
      UNROLL for (int r = 0; r < rows; r++) {
        const __m512i four =
            _mm512_set1_epi32(*(const int32_t *)(x + r * STEPS + g * GROUP + k));
        UNROLL for (int v = 0; v < VECTORS; v++) {
          dot[r][v] = _mm512_dpbusd_epi32(dot[r][v], four, w[v]);
        }
      }
    }
    UNROLL for (int r = 0; r < rows; r++) {
      const __m512 scale = _mm512_set1_ps(scales[r * (STEPS / GROUP) + g]);
      UNROLL for (int v = 0; v < VECTORS; v++) {
        const __m512 of_weights = _mm512_loadu_ps(weights + 4 * v * LANES);
        sum[r][v] = _mm512_fmadd_ps(
            _mm512_cvtepi32_ps(dot[r][v]), _mm512_mul_ps(scale, of_weights), sum[r][v]);
      }
    }
  }
  UNROLL for (int r = 0; r < rows; r++) {
    UNROLL for (int v = 0; v < VECTORS; v++) {
      _mm512_storeu_ps(y + r * y_stride + v * LANES, sum[r][v]);
    }
  }
}

// The largest input of a group becomes 127 or -127, and is raised by 128.
INLINE void int8_row(const float *from, const int steps, uint8_t *to, float *scales) {
  for (int g = 0; g * GROUP < steps; g++) {
    __m512 v[GROUP / LANES];
    __m512 largest = _mm512_setzero_ps();
    UNROLL for (int i = 0; i < GROUP / LANES; i++) {
      const int left = steps - g * GROUP - i * LANES;
      const __mmask16 mask =
          left >= LANES ? 0xFFFF : left <= 0 ? 0 : (__mmask16)((1 << left) - 1);
      v[i] = _mm512_maskz_loadu_ps(mask, from + g * GROUP + i * LANES);
      largest = _mm512_max_ps(largest, _mm512_abs_ps(v[i]));
    }
    const float most = _mm512_reduce_max_ps(largest);
    const __m512 inverse = _mm512_set1_ps(most > 1e-30f ? 127 / most : 0);
    scales[g] = most / 127;
    UNROLL for (int i = 0; i < GROUP / LANES; i++) {
      const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(v[i], inverse));
      const __m128i raised =
          _mm512_cvtepi32_epi8(_mm512_add_epi32(q, _mm512_set1_epi32(128)));
      _mm_storeu_si128((__m128i *)(to + g * GROUP + i * LANES), raised);
    }
  }
}

// As sarathi_bf16; only the last group of a row may have fewer inputs than 64.
void sarathi_int8(
    const uint8_t *weights,
    const int64_t panel_stride,
    const int32_t panels,
    const int32_t steps,
    const float *x_base,
    const int64_t x_offset,
    const int64_t x_stride,
    float *y_base,
    const int64_t y_offset,
    const int64_t y_stride,
    const int32_t rows) {
  _Static_assert(LONE_STEPS <= QUANTISED_ROWS * STEPS, "a single row has room");
  uint8_t converted[QUANTISED_ROWS * STEPS] __attribute__((aligned(64)));
  float scales[QUANTISED_ROWS * (STEPS / GROUP)];
  const float *x = x_base + x_offset;
  float *y = y_base + y_offset;
  const int groups = (steps + GROUP - 1) / GROUP;
  for (int row = 0; row < rows;) {
    const int count = rows - row < QUANTISED_ROWS ? rows - row : QUANTISED_ROWS;
    for (int r = 0; r < count; r++) {
      int8_row(
          x + (row + r) * x_stride, steps, converted + r * STEPS, scales + r * (STEPS / GROUP));
    }
    float *to = y + row * y_stride;
#define TILE(n)                                                                              \
  case n:                                                                                    \
    for (int panel = 0; panel < panels; panel++) {                                           \
      int8_tile(n, weights + panel * panel_stride, groups, converted, scales,                \
          to + panel * PANEL, y_stride);                                                     \
    }                                                                                        \
    break;
    switch (count) {
      TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
    }
#undef TILE
    row += count;
  }
}

// ---- Attention, by the operations of Attention.java in their order, and so with its bits. A block
// of the cache holds the keys of 16 positions as [dimension][position], then their values as
// [position][dimension]. All queries of a call walk together, so that each block is read once.

enum {
  DIMS = 256,    // of a head, at most, padded to whole vectors
  WALKERS = 32,  // queries that walk together
  TOGETHER = 8,  // queries of a tile: by two blocks, or two vectors of output, 16 accumulators
  TILE_SCORES = TOGETHER * LANES
};

typedef struct {
  float queries[DIMS * TOGETHER]; // [dimension][query]
  float outputs[TOGETHER * DIMS];
  float scores[2 * TILE_SCORES];  // of two blocks
  float sums[TILE_SCORES];
  float maxima[TOGETHER];
  int64_t ends[TOGETHER];         // positions that a query may see, from 0
} __attribute__((aligned(64))) tile_t;

// As RowKernels.exp, for x <= 0.
INLINE __m512 exp_ps(__m512 x) {
  x = _mm512_max_ps(_mm512_set1_ps(-87), x); // in this order a NaN stays one
  const __m512 round = _mm512_set1_ps(12582912); // 1.5 * 2^23
  const __m512 shifted = _mm512_fmadd_ps(x, _mm512_set1_ps(1.44269504f), round);
  const __m512 n = _mm512_sub_ps(shifted, round);
  __m512 r = _mm512_fmadd_ps(_mm512_set1_ps(-0.693359375f), n, x);
  r = _mm512_fmadd_ps(_mm512_set1_ps(2.12194440e-4f), n, r);
  __m512 p = _mm512_set1_ps(1.9875691500e-4f);
  p = _mm512_fmadd_ps(r, p, _mm512_set1_ps(1.3981999507e-3f));
  p = _mm512_fmadd_ps(r, p, _mm512_set1_ps(8.3334519073e-3f));
  p = _mm512_fmadd_ps(r, p, _mm512_set1_ps(4.1665795894e-2f));
  p = _mm512_fmadd_ps(r, p, _mm512_set1_ps(1.6666665459e-1f));
  p = _mm512_fmadd_ps(r, p, _mm512_set1_ps(5.0000001201e-1f));
  const __m512 result =
      _mm512_add_ps(_mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1));
  const __m512i exponent = _mm512_slli_epi32(
      _mm512_add_epi32(_mm512_castps_si512(shifted), _mm512_set1_epi32(127)), 23);
  return _mm512_mul_ps(result, _mm512_castsi512_ps(exponent));
}

// Where the first tile reads a block, it asks for the same part of the one after the next, which the
// processor cannot guess: blocks lie anywhere. Decodes over long contexts gain half again their
// speed. Into the L2 cache: two blocks more would crowd the L1.
#define NEAR _MM_HINT_T1

// Scores against two blocks' keys, one chain over the dimensions for each position.
INLINE void score(
    const int count,
    tile_t *tile,
    const float *keys,
    const float *next_keys,
    const int dims,
    const float *const ahead[2]) {
  __m512 a[TOGETHER];
  __m512 b[TOGETHER];
  UNROLL for (int i = 0; i < count; i++) {
    a[i] = b[i] = _mm512_setzero_ps();
  }
  for (int d = 0; d < dims; d++) {
    if (ahead) {
      _mm_prefetch((const char *)(ahead[0] + d * LANES), NEAR);
      _mm_prefetch((const char *)(ahead[1] + d * LANES), NEAR);
    }
    const __m512 key = _mm512_loadu_ps(keys + d * LANES);
    const __m512 next_key = _mm512_loadu_ps(next_keys + d * LANES);
    UNROLL for (int i = 0; i < count; i++) {
      const __m512 query = _mm512_set1_ps(tile->queries[d * TOGETHER + i]);
      a[i] = _mm512_fmadd_ps(query, key, a[i]);
      b[i] = _mm512_fmadd_ps(query, next_key, b[i]);
    }
  }
  UNROLL for (int i = 0; i < count; i++) {
    _mm512_store_ps(tile->scores + i * LANES, a[i]);
    _mm512_store_ps(tile->scores + TILE_SCORES + i * LANES, b[i]);
  }
}

// Turns the scores of a query's visible positions into weights relative to its running maximum.
INLINE void soften(
    tile_t *tile, const int query, float *scores, const int padded, const __mmask16 seen) {
  const __m512 lowest = _mm512_set1_ps(-__builtin_inff());
  const __m512 score = _mm512_mask_loadu_ps(lowest, seen, scores);
  __m512 max = _mm512_set1_ps(tile->maxima[query]);
  __m512 sum = _mm512_load_ps(tile->sums + query * LANES);
  if (_mm512_cmp_ps_mask(score, max, _CMP_GT_OQ)) { // seldom, after the first blocks
    const __m512 risen = _mm512_set1_ps(_mm512_reduce_max_ps(score));
    const __m512 factor = exp_ps(_mm512_sub_ps(max, risen));
    float *output = tile->outputs + query * DIMS;
    for (int d = 0; d < padded; d += LANES) {
      _mm512_store_ps(output + d, _mm512_mul_ps(_mm512_load_ps(output + d), factor));
    }
    sum = _mm512_mul_ps(sum, factor);
    max = risen;
    tile->maxima[query] = _mm512_cvtss_f32(max);
  }
  const __m512 weight = _mm512_maskz_mov_ps(seen, exp_ps(_mm512_sub_ps(score, max)));
  _mm512_store_ps(scores, weight);
  _mm512_store_ps(tile->sums + query * LANES, _mm512_add_ps(sum, weight));
}

// Adds the values of positions `from` to `to` to the outputs, in order of position.
INLINE void weigh_by(
    const int count,
    const int vectors,
    const float *values,
    const float *ahead,
    const int padded,
    const float *weights,
    const int from,
    const int to,
    float *outputs) {
  __m512 sum[TOGETHER][2];
  UNROLL for (int i = 0; i < count; i++) {
    UNROLL for (int v = 0; v < vectors; v++) {
      sum[i][v] = _mm512_load_ps(outputs + i * DIMS + v * LANES);
    }
  }
  for (int t = from; t < to; t++) {
    __m512 value[2];
    UNROLL for (int v = 0; v < vectors; v++) {
      value[v] = _mm512_loadu_ps(values + t * padded + v * LANES);
      if (ahead) {
        _mm_prefetch((const char *)(ahead + t * padded + v * LANES), NEAR);
      }
    }
    UNROLL for (int i = 0; i < count; i++) {
      const __m512 weight = _mm512_set1_ps(weights[i * LANES + t]);
      UNROLL for (int v = 0; v < vectors; v++) {
        sum[i][v] = _mm512_fmadd_ps(weight, value[v], sum[i][v]);
      }
    }
  }
  UNROLL for (int i = 0; i < count; i++) {
    UNROLL for (int v = 0; v < vectors; v++) {
      _mm512_store_ps(outputs + i * DIMS + v * LANES, sum[i][v]);
    }
  }
}

INLINE void weigh(
    const int count,
    const float *values,
    const float *ahead,
    const int padded,
    const float *weights,
    const int from,
    const int to,
    float *outputs) {
  int d = 0;
  for (; d + 2 * LANES <= padded; d += 2 * LANES) {
    weigh_by(count, 2, values + d, ahead ? ahead + d : 0, padded, weights, from, to, outputs + d);
  }
  if (d < padded) {
    weigh_by(count, 1, values + d, ahead ? ahead + d : 0, padded, weights, from, to, outputs + d);
  }
}

// Runs a kernel of a tile with as many queries as it computes: what more it has are zeros.
#define FOR_COUNT(count, call) \
  do {                         \
    if (count > 4) {           \
      enum { N = 8 };          \
      call;                    \
    } else if (count > 2) {    \
      enum { N = 4 };          \
      call;                    \
    } else if (count > 1) {    \
      enum { N = 2 };          \
      call;                    \
    } else {                   \
      enum { N = 1 };          \
      call;                    \
    }                          \
  } while (0)

INLINE int clamped(const int64_t value) {
  return value < 0 ? 0 : value > LANES ? LANES : (int)value;
}

// Adds the block that begins at position `start` to the outputs of a tile.
static void add_block(
    tile_t *tile,
    const int count,
    float *scores,
    const float *values,
    const float *ahead,
    const int padded,
    const int64_t window,
    const int64_t start) {
  int hidden[TOGETHER];
  int visible[TOGETHER];
  int common = 0;
  int common_end = LANES;
  for (int i = 0; i < count; i++) {
    const int64_t end = tile->ends[i] - start;
    hidden[i] = clamped(end - window);
    visible[i] = clamped(end);
    common = hidden[i] > common ? hidden[i] : common;
    common_end = visible[i] < common_end ? visible[i] : common_end;
    if (hidden[i] < visible[i]) {
      const int seen = (1 << visible[i]) - (1 << hidden[i]);
      soften(tile, i, scores + i * LANES, padded, (__mmask16)seen);
    }
  }
  // What only some of the queries see comes before and after what all of them do.
  if (common >= common_end) {
    common = common_end = LANES;
  }
  for (int i = 0; i < count; i++) {
    const int end = visible[i] < common ? visible[i] : common;
    if (hidden[i] < end) {
      weigh(1, values, 0, padded, scores + i * LANES, hidden[i], end, tile->outputs + i * DIMS);
    }
  }
  if (common < common_end) {
    if (ahead) {
      FOR_COUNT(count, weigh(N, values, ahead, padded, scores, common, common_end, tile->outputs));
    } else {
      FOR_COUNT(count, weigh(N, values, 0, padded, scores, common, common_end, tile->outputs));
    }
  }
  for (int i = 0; i < count; i++) {
    if (common_end < visible[i]) {
      weigh(1, values, 0, padded, scores + i * LANES, common_end, visible[i],
          tile->outputs + i * DIMS);
    }
  }
}

// The partial sums folded in halves, as RowKernels.sum.
INLINE float folded(const float *sums) {
  float s[LANES / 2];
  for (int i = 0; i < 8; i++) {
    s[i] = sums[i] + sums[i + 8];
  }
  for (int i = 0; i < 4; i++) {
    s[i] += s[i + 4];
  }
  return (s[0] + s[2]) + (s[1] + s[3]);
}

// Attention of `rows` consecutive positions, each with the `group` query heads of one KV head. The
// block stride and the offsets of x and y count floats; `cache` points to block 0 of the layer and
// head.
void sarathi_attend(
    const float *cache,
    const int64_t block_stride,
    const int32_t *blocks,
    const int32_t window,
    const int32_t position,
    const int32_t rows,
    const int32_t group,
    const int32_t dims,
    const float scale,
    const float *x_base,
    const int64_t x_offset,
    const int64_t x_stride,
    float *y_base,
    const int64_t y_offset,
    const int64_t y_stride) {
  tile_t tiles[WALKERS / TOGETHER] __attribute__((aligned(64)));
  const int padded = (dims + LANES - 1) / LANES * LANES;
  const float *x = x_base + x_offset;
  float *y = y_base + y_offset;
  for (int first = 0; first < rows * group; first += WALKERS) {
    const int walkers = rows * group - first < WALKERS ? rows * group - first : WALKERS;
    for (int i = 0; i < (walkers + TOGETHER - 1) / TOGETHER * TOGETHER; i++) {
      tile_t *tile = tiles + i / TOGETHER;
      const int lane = i % TOGETHER;
      const int query = first + i;
      const float *from = x + query / group * x_stride + query % group * dims;
      for (int d = 0; d < dims; d++) {
        tile->queries[d * TOGETHER + lane] = i < walkers ? from[d] * scale : 0;
      }
      for (int d = 0; d < padded; d += LANES) {
        _mm512_store_ps(tile->outputs + lane * DIMS + d, _mm512_setzero_ps());
      }
      _mm512_store_ps(tile->sums + lane * LANES, _mm512_setzero_ps());
      tile->maxima[lane] = -__builtin_inff();
      tile->ends[lane] = (int64_t)position + query / group + 1;
    }
    const int64_t begin = (int64_t)position + first / group + 1 - window;
    const int last = (position + (first + walkers - 1) / group) / LANES;
    for (int block = begin < 0 ? 0 : (int)(begin / LANES); block <= last; block += 2) {
      const int next = block < last ? block + 1 : last;
      const float *keys = cache + blocks[block] * block_stride;
      const float *next_keys = cache + blocks[next] * block_stride;
      const float *ahead[2];
      for (int i = 0; i < 2; i++) {
        const int later = block + 2 + i < last ? block + 2 + i : last;
        ahead[i] = cache + blocks[later] * block_stride;
      }
      for (int i = 0; i < walkers; i += TOGETHER) {
        tile_t *tile = tiles + i / TOGETHER;
        const int count = walkers - i < TOGETHER ? walkers - i : TOGETHER;
        if (i == 0) {
          FOR_COUNT(count, score(N, tile, keys, next_keys, dims, ahead));
        } else {
          FOR_COUNT(count, score(N, tile, keys, next_keys, dims, 0));
        }
        const int values = padded * LANES;
        add_block(tile, count, tile->scores, keys + values, i ? 0 : ahead[0] + values, padded,
            window, (int64_t)block * LANES);
        if (next != block) {
          add_block(tile, count, tile->scores + TILE_SCORES, next_keys + values,
              i ? 0 : ahead[1] + values, padded, window, (int64_t)next * LANES);
        }
      }
    }
    for (int i = 0; i < walkers; i++) {
      const tile_t *tile = tiles + i / TOGETHER;
      const int query = first + i;
      const float sum = folded(tile->sums + i % TOGETHER * LANES);
      float *to = y + query / group * y_stride + query % group * dims;
      for (int d = 0; d < dims; d++) {
        to[d] = tile->outputs[i % TOGETHER * DIMS + d] / sum;
      }
    }
  }
}
