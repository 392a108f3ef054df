// Every instruction that plain C++ does not have, one function each. Kernels speak to the hardware through
// these alone, so that a host compiler can build the unmodified kernels against their twins (twin.h).
#pragma once

#include <math.h>
#include <stdint.h>

/// A bfloat16 as it lies in memory.
struct alignas(2) bf16 {
  uint16_t bits;
};

#ifndef __CUDACC__
#include "twin.h"
#else

#define KERNEL_ENTRY(name)

/// The block's dynamic shared memory; its size is the launch's.
template <class T>
__device__ __forceinline__ T* shared_memory() {
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  return reinterpret_cast<T*>(shared_bytes);
}

__device__ __forceinline__ uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

/// Waits for all threads of the block; what they wrote to shared memory is then seen by all.
__device__ __forceinline__ void barrier() { __syncthreads(); }

/// The value of the lane whose number differs by these bits. All lanes of the warp take part.
__device__ __forceinline__ float shuffle_xor(float value, int lanes) {
  return __shfl_xor_sync(0xffffffffu, value, lanes);
}

__device__ __forceinline__ int shuffle_xor(int value, int lanes) {
  return __shfl_xor_sync(0xffffffffu, value, lanes);
}

/// 2^x, good to two units in the last place; 1 for 0, 0 for minus infinity.
__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// Two floats rounded to nearest even, the first in the lower half.
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}

/// Begins to copy 16 bytes, both sides aligned to 16, into shared memory.
__device__ __forceinline__ void copy_async(void* shared, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)), "l"(global)
               : "memory");
}

/// Ends a group of this thread's copies.
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/// Waits until at most so many of this thread's latest groups are under way.
template <int GROUPS>
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(GROUPS) : "memory");
}

/// Loads four 8x8 matrices; lane i gives the address of row i % 8 of matrix i / 8. Register j of a lane
/// holds elements 2 * (lane % 4) and the next of row lane / 4 of matrix j.
__device__ __forceinline__ void load_matrices(uint32_t (&registers)[4], const bf16* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
               : "r"(shared_address(row))
               : "memory");
}

/// As above, each matrix transposed.
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&registers)[4], const bf16* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
               : "r"(shared_address(row))
               : "memory");
}

/// sum += a * b for a 16x16 tile of rows and a 16x8 tile of columns.
__device__ __forceinline__ void multiply_accumulate(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0,
                                                    uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ float bits_to_float(uint32_t bits) { return __uint_as_float(bits); }
#endif

__device__ __forceinline__ float to_float(bf16 value) {
  return bits_to_float(static_cast<uint32_t>(value.bits) << 16);
}

__device__ __forceinline__ bf16 to_bf16(float value) {
  return bf16{static_cast<uint16_t>(pack_bf16(value, 0.0f))};
}

__device__ __forceinline__ int lane() { return threadIdx.x % 32; }

__device__ __forceinline__ int warp() { return threadIdx.x / 32; }

/// Where 16-byte chunk `chunk` of row `row` lies in a shared tile of `WIDTH` elements a row. Chunks change
/// places from row to row, so that the eight rows of a matrix lie in different banks.
template <int WIDTH>
__device__ __forceinline__ int swizzled(int row, int chunk) {
  constexpr int CHUNKS = WIDTH / 8;
  constexpr int MASK = CHUNKS < 8 ? CHUNKS - 1 : 7;
  return row * WIDTH + (chunk ^ (row & MASK)) * 8;
}

/// The sum over a warp, the same in every lane, in one order.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    value += shuffle_xor(value, lanes);
  }
  return value;
}

/// The sum over a block, the same in every thread: lanes by halves, then warps in turn. A number a warp of shared
/// memory, which is free again afterwards.
template <int THREADS, class T>
__device__ __forceinline__ T block_sum(T value) {
  T* sums = shared_memory<T>();
  value = warp_sum(value);
  if (lane() == 0) {
    sums[warp()] = value;
  }
  barrier();
  T sum = 0;
  for (int i = 0; i < THREADS / 32; i++) {
    sum += sums[i];
  }
  barrier();
  return sum;
}
