// The CPU twin of a CUDA device: what nvcc and primitives.cuh give a kernel, for a host compiler.
//
// A block's threads are fibers on one CPU thread. They run in random order, each until it waits for its
// warp or its block, so that whatever lacks a barrier goes wrong sooner or later. Shared memory is NaN
// until written, an asynchronous copy is NaN until its wait, and addresses must be aligned as the
// hardware wants them. What it cannot show: the order of memory accesses between barriers on real
// hardware, the operands of asm, the rounding inside a tensor core, time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

namespace twin {

struct Dim {
  unsigned x, y, z;
};

/// The fiber that runs, as its kernel sees it.
extern Dim thread_index, block_index, block_size, grid_size;

unsigned char* shared_memory();
void barrier();
uint32_t shuffle_xor(uint32_t value, int lanes);
void copy_async(void* shared, const void* global);
void commit_copies();
void wait_for_copies(int groups);
void load_matrices(uint32_t* registers, const void* row, bool transposed);
void multiply_accumulate(float* sum, const uint32_t* a, uint32_t b0, uint32_t b1);

using Body = void (*)(void** arguments);

/// Makes a kernel known by its name, with the sizes of its parameters.
struct Entry {
  Entry(const char* name, Body body, std::vector<size_t> sizes);
};

template <auto KERNEL>
struct Call;

template <class... T, void (*KERNEL)(T...)>
struct Call<KERNEL> {
  static std::vector<size_t> sizes() { return {sizeof(T)...}; }

  static void body(void** arguments) { expand(arguments, std::index_sequence_for<T...>()); }

  template <size_t... I>
  static void expand(void** arguments, std::index_sequence<I...>) {
    KERNEL(*static_cast<std::remove_reference_t<T>*>(arguments[I])...);
  }
};

} // namespace twin

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define KERNEL_ENTRY(name) \
  static const twin::Entry name##_entry{#name, &twin::Call<&name>::body, twin::Call<&name>::sizes()};

#define threadIdx twin::thread_index
#define blockIdx twin::block_index
#define blockDim twin::block_size
#define gridDim twin::grid_size

using std::max;
using std::min;

template <class T>
T* shared_memory() {
  return reinterpret_cast<T*>(twin::shared_memory());
}

inline void barrier() { twin::barrier(); }

template <class T>
T shuffle_xor(T value, int lanes) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  bits = twin::shuffle_xor(bits, lanes);
  memcpy(&value, &bits, 4);
  return value;
}

inline float exp2_fast(float x) { return exp2f(x); }

inline float bits_to_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

inline uint32_t round_to_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return std::isnan(value) ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

inline uint32_t pack_bf16(float low, float high) { return round_to_bf16(low) | round_to_bf16(high) << 16; }

inline void copy_async(void* shared, const void* global) { twin::copy_async(shared, global); }

inline void commit_copies() { twin::commit_copies(); }

template <int GROUPS>
void wait_for_copies() {
  twin::wait_for_copies(GROUPS);
}

inline void load_matrices(uint32_t (&registers)[4], const bf16* row) {
  twin::load_matrices(registers, row, false);
}

inline void load_matrices_transposed(uint32_t (&registers)[4], const bf16* row) {
  twin::load_matrices(registers, row, true);
}

inline void multiply_accumulate(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  twin::multiply_accumulate(sum, a, b0, b1);
}
