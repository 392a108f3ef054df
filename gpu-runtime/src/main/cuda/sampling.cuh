// What the host needs of a row of logits to draw a token from it, where that is less than the row.
//
// The host's sampler (Sampler.java, in double) draws by a race: of the tokens that min-p, top-k and top-p keep,
// the one with the largest weight plus noise wins, where a weight is (logit - largest logit) / temperature and
// the noise, -log(-log(uniform)), a pure function of seed, choice, output index and token. A device runs the
// same race in float and sends all tokens that may win; the host's decides among them. Whatever a float cannot
// decide is left to the host and the whole row, so that the token is the very one that the row gives.
//
// How far a float's score may be from the double's, with e = 2^-24 and 4 e for the relative error of logf,
// log1pf and expf, which is twice the 1 ulp of the CUDA programming guide:
//
//   weight   one subtraction, the reciprocal, one product: 3 e |weight|
//   uniform  a word's 32 bits to float, and a half added: 2 e, of its distance from 1 in the upper half
//   -log     of that: 2.9 e from the argument, since |d log / log| <= du / (u |log u|) <= 2 e / log 2, and 4 e
//   noise    7 e from its argument, and 4 e |noise|
//   score    e |score|
//
// Noise of 32 bits lies between -3.14 and 22.88. The likeliest token's score is at least the former, so whoever
// weighs less than -26.1 cannot win, and of the others no score is off by more than 79 e + 7 e + 92 e + 30 e <
// 512 e = 2^-15. The winner's is thus no more than 2^-14 below the largest. The contraction of products and sums
// (-fmad=false forbids it) would not raise any of these.
#pragma once

#include "primitives.cuh"

constexpr int CONTENDERS_THREADS = 512;
constexpr float SCORE_ERROR = 0x1p-15f;
constexpr float HIGHEST_NOISE = 22.9f;
/// The sampler takes what weighs less for nothing in sums.
constexpr float NEGLIGIBLE = -40;

/// A token and its logit or score.
struct Candidate {
  float value;
  int token;
};

/// By falling value, then by rising id; zeros of either sign are equal.
__device__ __forceinline__ bool before(const Candidate& a, const Candidate& b) {
  return a.value > b.value || (a.value == b.value && a.token < b.token);
}

/// The first one over a block of CONTENDERS_THREADS, the same in every thread. What is found depends on no
/// order, so any will do.
__device__ __forceinline__ Candidate block_first(Candidate mine) {
  Candidate* firsts = shared_memory<Candidate>();
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    const Candidate other = {shuffle_xor(mine.value, lanes), shuffle_xor(mine.token, lanes)};
    mine = before(other, mine) ? other : mine;
  }
  if (lane() == 0) {
    firsts[warp()] = mine;
  }
  barrier();
  Candidate first = firsts[0];
  for (int i = 1; i < CONTENDERS_THREADS / 32; i++) {
    first = before(firsts[i], first) ? firsts[i] : first;
  }
  barrier();
  return first;
}

/// How to draw from a row; as in BatchPlan (Java).
struct Draw {
  float coldness;    // 1 / temperature; 0 for the likeliest token, less for nothing at all
  float least;       // weight that min-p keeps
  float top_p;       // 1 for all
  int top_k;         // 0 for all
  uint32_t seed_low;
  uint32_t seed_high;
  uint32_t output_index;
  uint32_t choice;
};

/// The first word of Philox4x32-10, as Philox (Java) has it.
__device__ __forceinline__ uint32_t random_word(const Draw& draw, uint32_t token) {
  uint32_t c0 = token;
  uint32_t c1 = draw.output_index;
  uint32_t c2 = draw.choice;
  uint32_t c3 = 0;
  uint32_t key0 = draw.seed_low;
  uint32_t key1 = draw.seed_high;
  for (int round = 0; round < 10; round++) {
    const uint64_t product0 = static_cast<uint64_t>(0xD2511F53u) * c0;
    const uint64_t product1 = static_cast<uint64_t>(0xCD9E8D57u) * c2;
    c0 = static_cast<uint32_t>(product1 >> 32) ^ c1 ^ key0;
    c1 = static_cast<uint32_t>(product1);
    c2 = static_cast<uint32_t>(product0 >> 32) ^ c3 ^ key1;
    c3 = static_cast<uint32_t>(product0);
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c0;
}

/// -log(-log(uniform)). In the upper half the distance from 1 is what a float can hold.
__device__ __forceinline__ float gumbel(uint32_t word) {
  const bool upper = word >= 0x80000000u;
  const float distance = (static_cast<float>(upper ? ~word : word) + 0.5f) * 0x1p-32f;
  return -logf(-(upper ? log1pf(-distance) : logf(distance)));
}

/// A row whose logits are numbers. Each thread looks at every CONTENDERS_THREADS-th token.
struct Row {
  const float* logits;
  int vocabulary;
  Candidate likeliest;
  Draw draw;

  __device__ __forceinline__ float weight(int token) const { return (logits[token] - likeliest.value) * draw.coldness; }

  /// What min-p keeps for certain; it keeps the likeliest always.
  __device__ __forceinline__ bool keeps(float logit, float weight) const {
    return weight >= draw.least + SCORE_ERROR || logit == likeliest.value;
  }

  __device__ __forceinline__ bool may_keep(float weight) const { return weight >= draw.least - SCORE_ERROR; }

  __device__ __forceinline__ float noise(int token) const { return gumbel(random_word(draw, token)); }

  __device__ __forceinline__ int count_above(float weight_below) const {
    int count = 0;
    for (int i = threadIdx.x; i < vocabulary; i += CONTENDERS_THREADS) {
      count += weight(i) > weight_below;
    }
    return block_sum<CONTENDERS_THREADS>(count);
  }
};

/// What top-k keeps: all that weigh more than this, and some whose weight is this.
struct Cut {
  float weight;
  int others;
};

/// A weight is found to within 2^-20, or 16 e of what counts.
__device__ __forceinline__ Cut top_k_cut(const Row& row) {
  const int count = row.draw.top_k;
  float low = NEGLIGIBLE;
  if (count == 0 || row.count_above(low) <= count) {
    return {low, 0};
  }
  float high = 0;
  int above = 0;
  for (int i = 0; i < 26 && above != count; i++) {
    const float middle = (low + high) / 2;
    const int above_middle = row.count_above(middle);
    if (above_middle <= count) {
      high = middle;
      above = above_middle;
    } else {
      low = middle;
    }
  }
  return {high, count - above};
}

/// The sum of exp(weight) over what min-p and top-k keep, apart for what they keep perhaps.
struct Total {
  float certain;
  float doubtful;
};

__device__ __forceinline__ Total kept_total(const Row& row) {
  const Cut cut = top_k_cut(row);
  Total mine = {0, 0};
  for (int i = threadIdx.x; i < row.vocabulary; i += CONTENDERS_THREADS) {
    const float weight = row.weight(i);
    if (weight > cut.weight && row.may_keep(weight)) {
      (row.keeps(row.logits[i], weight) ? mine.certain : mine.doubtful) += expf(weight);
    }
  }
  if (threadIdx.x == 0 && row.may_keep(cut.weight)) {
    (row.keeps(-INFINITY, cut.weight) ? mine.certain : mine.doubtful) += cut.others * expf(cut.weight);
  }
  return {block_sum<CONTENDERS_THREADS>(mine.certain), block_sum<CONTENDERS_THREADS>(mine.doubtful)};
}

enum class Kept { YES, NO, DOUBTFUL };

/// Whether top-k and top-p keep a token: by how many are before it, and what these weigh. A term of a sum is off
/// by 3 e |weight| + 4 e < 124 e, where it counts, and each addition by e; two sums are compared.
__device__ __forceinline__ Kept is_kept(const Row& row, const Total& total, const Candidate& candidate) {
  if (row.draw.top_k == 0 && row.draw.top_p == 1) {
    return Kept::YES;
  }
  int rank = 0;
  float mass = 0;
  for (int i = threadIdx.x; i < row.vocabulary; i += CONTENDERS_THREADS) {
    if (before({row.logits[i], i}, candidate)) {
      rank++;
      mass += expf(row.weight(i));
    }
  }
  rank = block_sum<CONTENDERS_THREADS>(rank);
  mass = block_sum<CONTENDERS_THREADS>(mass);
  if (row.draw.top_k > 0 && rank >= row.draw.top_k) {
    return Kept::NO;
  }
  const float error = 3 * (row.vocabulary / CONTENDERS_THREADS + 180) * 0x1p-24f;
  if (rank == 0 || row.draw.top_p == 1 || mass < row.draw.top_p * total.certain * (1 - error)) {
    return Kept::YES;
  }
  const float most = row.draw.top_p * (total.certain + total.doubtful) * (1 + error);
  return mass > most ? Kept::NO : Kept::DOUBTFUL;
}

/// One race, among the tokens before `end`. Each thread knows its own first one, and the best score of those
/// that are not first or that min-p keeps perhaps: seldom does one of these come near.
struct Race {
  Candidate first;
  float other;
};

__device__ __forceinline__ Race race(const Row& row, const Candidate& end) {
  const float hopeless = row.noise(row.likeliest.token) - HIGHEST_NOISE;
  Race mine = {{-INFINITY, row.vocabulary}, -INFINITY};
  for (int i = threadIdx.x; i < row.vocabulary; i += CONTENDERS_THREADS) {
    const float weight = row.weight(i);
    if (weight >= hopeless && row.may_keep(weight) && before({row.logits[i], i}, end)) {
      const float score = weight + row.noise(i);
      if (score > mine.first.value && row.keeps(row.logits[i], weight)) {
        mine.other = fmaxf(mine.other, mine.first.value);
        mine.first = {score, i};
      } else {
        mine.other = fmaxf(mine.other, score);
      }
    }
  }
  return mine;
}

/// What a block has found out about a row.
struct Result {
  int* to;
  int most;
  int count;

  __device__ __forceinline__ void add(const Candidate& candidate) {
    if (threadIdx.x == 0 && count < most) {
      *reinterpret_cast<float*>(to + 1 + 2 * count) = candidate.value;
      to[2 + 2 * count] = candidate.token;
    }
    count++;
  }

  __device__ __forceinline__ void end(bool certain) {
    if (threadIdx.x == 0) {
      to[0] = certain && count <= most ? count : -1;
    }
  }
};

/// Runs races until the least likely token that may win one is kept, so that all of them are. Where it is not,
/// whoever is kept is before it: the next race is among those.
__device__ __forceinline__ void find_contenders(const Row& row, Result result) {
  const Candidate none = {-INFINITY, row.vocabulary}; // behind every token
  const Total total = row.draw.top_p < 1 ? kept_total(row) : Total{0, 0};
  Candidate last = none;
  Kept kept = Kept::NO;
  while (kept == Kept::NO) {
    const Race mine = race(row, last);
    const float near = block_first(mine.first).value - 2 * SCORE_ERROR;
    if (block_first({mine.other, 0}).value >= near) {
      kept = Kept::DOUBTFUL;
      break;
    }
    result.count = 1;
    Candidate contender =
        mine.first.value >= near ? Candidate{row.logits[mine.first.token], mine.first.token} : none;
    Candidate first = block_first(contender);
    while (first.token != none.token) {
      result.add(first);
      last = first;
      contender = contender.token == first.token ? none : contender;
      first = block_first(contender);
    }
    kept = is_kept(row, total, last);
  }
  result.end(kept == Kept::YES);
}

/// Of each row, the tokens that may be drawn from it: their number, then each one's logit and id, the likeliest
/// of the row first, whether it may win or not. -1 where nobody can say or there are more than `most`, and where
/// a row holds something else than numbers or nothing but minus infinity. One block a row, a candidate a warp of
/// shared memory. Rows are few: without the bound of one block ptxas makes room for three, and spills.
extern "C" __global__ void __launch_bounds__(CONTENDERS_THREADS, 1)
    contenders(const float* logits, int stride, int vocabulary, const Draw* draws, int* results, int most) {
  const Draw draw = draws[blockIdx.x];
  if (draw.coldness < 0) {
    return;
  }
  const float* row = logits + static_cast<int64_t>(blockIdx.x) * stride;
  Candidate mine = {-INFINITY, vocabulary};
  bool numbers = true;
  for (int i = threadIdx.x; i < vocabulary; i += CONTENDERS_THREADS) {
    const Candidate candidate = {row[i], i};
    numbers = numbers && candidate.value < INFINITY;
    mine = before(candidate, mine) ? candidate : mine;
  }
  const Candidate likeliest = block_first(numbers ? mine : Candidate{INFINITY, -1});
  Result result = {results + static_cast<int64_t>(blockIdx.x) * (1 + 2 * most), most, 0};
  const bool drawable = likeliest.value < INFINITY && likeliest.value > -INFINITY;
  result.add(likeliest);
  if (!drawable || draw.coldness == 0) {
    result.end(drawable);
    return;
  }
  find_contenders({row, vocabulary, likeliest, draw}, result);
}
KERNEL_ENTRY(contenders)
