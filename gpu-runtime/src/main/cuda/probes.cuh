// Each instruction of primitives.cuh alone, so that a device's can be held against plain arithmetic and its
// bits be kept. Not used by models. Every kernel has blocks of PROBE_THREADS and takes words as they lie in
// memory; what a block reads and writes is Primitive's (Java) business, too.
#pragma once

#include "primitives.cuh"

constexpr int PROBE_THREADS = 64;

/// This thread's words of an array that has so many for each thread.
template <class T>
__device__ __forceinline__ T* own(T* words, int count) {
  return words + (static_cast<int64_t>(blockIdx.x) * PROBE_THREADS + threadIdx.x) * count;
}

/// Each thread's word goes to the thread opposite, which is in another warp.
extern "C" __global__ void __launch_bounds__(PROBE_THREADS) probe_barrier(const uint32_t* in, uint32_t* out) {
  uint32_t* words = shared_memory<uint32_t>();
  words[threadIdx.x] = *own(in, 1);
  barrier();
  *own(out, 1) = words[PROBE_THREADS - 1 - threadIdx.x];
}
KERNEL_ENTRY(probe_barrier)

/// Five results for each thread, by bits of the lane's number; odd ones as float.
extern "C" __global__ void __launch_bounds__(PROBE_THREADS) probe_shuffle(const uint32_t* in, uint32_t* out) {
  const uint32_t word = *own(in, 1);
  uint32_t* to = own(out, 5);
  for (int bit = 0; bit < 5; bit++) {
    if (bit % 2 == 0) {
      to[bit] = static_cast<uint32_t>(shuffle_xor(static_cast<int>(word), 1 << bit));
    } else {
      *reinterpret_cast<float*>(to + bit) = shuffle_xor(bits_to_float(word), 1 << bit);
    }
  }
}
KERNEL_ENTRY(probe_shuffle)

extern "C" __global__ void __launch_bounds__(PROBE_THREADS) probe_exponential(const uint32_t* in, uint32_t* out) {
  *reinterpret_cast<float*>(own(out, 1)) = exp2_fast(bits_to_float(*own(in, 1)));
}
KERNEL_ENTRY(probe_exponential)

/// Two floats of each thread.
extern "C" __global__ void __launch_bounds__(PROBE_THREADS) probe_round(const uint32_t* in, uint32_t* out) {
  const uint32_t* from = own(in, 2);
  *own(out, 1) = pack_bf16(bits_to_float(from[0]), bits_to_float(from[1]));
}
KERNEL_ENTRY(probe_round)

/// Two groups of four words for each thread, the second one still under way when the first is read.
extern "C" __global__ void __launch_bounds__(PROBE_THREADS) probe_copy(const uint32_t* in, uint32_t* out) {
  const uint32_t* from = own(in, 8);
  uint32_t* to = own(out, 8);
  uint32_t* words = shared_memory<uint32_t>() + threadIdx.x * 8;
  copy_async(words, from);
  commit_copies();
  copy_async(words + 4, from + 4);
  commit_copies();
  wait_for_copies<1>();
  for (int i = 0; i < 4; i++) {
    to[i] = words[i];
  }
  wait_for_copies<0>();
  for (int i = 4; i < 8; i++) {
    to[i] = words[i];
  }
}
KERNEL_ENTRY(probe_copy)

/// Four matrices of each warp, whose 32 rows lie in memory in another order than they are loaded in.
template <bool TRANSPOSED>
__device__ __forceinline__ void probe_load(const uint32_t* in, uint32_t* out) {
  const uint32_t* from = own(in, 4);
  uint32_t* to = own(out, 4);
  uint32_t* words = shared_memory<uint32_t>();
  for (int i = 0; i < 4; i++) {
    words[threadIdx.x * 4 + i] = from[i];
  }
  barrier();
  const int row = warp() * 32 + (lane() * 5 + 3) % 32;
  const bf16* address = reinterpret_cast<const bf16*>(words + row * 4);
  uint32_t registers[4];
  if (TRANSPOSED) {
    load_matrices_transposed(registers, address);
  } else {
    load_matrices(registers, address);
  }
  for (int i = 0; i < 4; i++) {
    to[i] = registers[i];
  }
}

extern "C" __global__ void __launch_bounds__(PROBE_THREADS) probe_load_matrices(const uint32_t* in, uint32_t* out) {
  probe_load<false>(in, out);
}
KERNEL_ENTRY(probe_load_matrices)

extern "C" __global__ void __launch_bounds__(PROBE_THREADS)
    probe_load_matrices_transposed(const uint32_t* in, uint32_t* out) {
  probe_load<true>(in, out);
}
KERNEL_ENTRY(probe_load_matrices_transposed)

/// Of each thread four words of a, two of b, and four sums to begin with.
extern "C" __global__ void __launch_bounds__(PROBE_THREADS) probe_multiply(const uint32_t* in, uint32_t* out) {
  const uint32_t* from = own(in, 10);
  float* to = reinterpret_cast<float*>(own(out, 4));
  const uint32_t a[4] = {from[0], from[1], from[2], from[3]};
  float sum[4];
  for (int i = 0; i < 4; i++) {
    sum[i] = bits_to_float(from[6 + i]);
  }
  multiply_accumulate(sum, a, from[4], from[5]);
  for (int i = 0; i < 4; i++) {
    to[i] = sum[i];
  }
}
KERNEL_ENTRY(probe_multiply)
