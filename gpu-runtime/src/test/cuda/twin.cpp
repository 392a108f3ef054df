// Runs launches of the twin device; see twin.h.
#include "kernels.cu"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#ifndef __x86_64__
#include <ucontext.h>
#endif

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_UNPOISON_MEMORY_REGION(memory, bytes)
#endif

#ifdef __x86_64__
// Saves what a call must preserve on the stack and goes on with another stack.
extern "C" void twin_switch(void** from, void* to);
asm(R"(
.text
.globl twin_switch
.type twin_switch, @function
twin_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size twin_switch, .-twin_switch
)");

#endif

namespace twin {

Dim thread_index, block_index, block_size, grid_size;

namespace {

constexpr size_t STACK_BYTES = 256 << 10;
constexpr size_t MAX_SHARED_BYTES = 163 << 10; // of an A100's block
constexpr unsigned MAX_THREADS = 1024;

#ifdef __x86_64__
struct Context {
  void* stack_pointer = nullptr;

  void prepare(unsigned char* stack, void (*entry)()) {
    void** top = reinterpret_cast<void**>(stack + STACK_BYTES);
    top[-1] = nullptr; // a function finds its stack as a call leaves it: 8 past a multiple of 16
    top[-2] = reinterpret_cast<void*>(entry);
    stack_pointer = top - 8;
  }

  void go_to(Context& other) { twin_switch(&stack_pointer, other.stack_pointer); }
};
#else
struct Context {
  ucontext_t context;

  void prepare(unsigned char* stack, void (*entry)()) {
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = STACK_BYTES;
    context.uc_link = nullptr;
    makecontext(&context, entry, 0);
  }

  void go_to(Context& other) { swapcontext(&context, &other.context); }
};
#endif

struct Copy {
  void* to;
  const void* from;
};

enum class Step { RUN, BARRIER, SHUFFLE, LOAD, LOAD_TRANSPOSED, MULTIPLY, DONE };

const char* name(Step step) {
  static const char* const NAMES[] = {"running", "barrier", "shuffle", "ldmatrix", "ldmatrix.trans", "mma", "done"};
  return NAMES[static_cast<int>(step)];
}

struct Fiber {
  Context context;
  std::unique_ptr<unsigned char[]> stack{new unsigned char[STACK_BYTES]};
  Dim thread;
  Step step;
  const void* in;
  void* out;
  int lanes;
  uint32_t b[2];
  std::vector<std::vector<Copy>> copies; // groups under way; the last one is open
};

Context scheduler;
std::vector<std::unique_ptr<Fiber>> fibers;
unsigned threads;
unsigned running;
Body kernel;
void** kernel_arguments;
unsigned char* shared;
size_t shared_bytes;
std::string error;
uint64_t random_state = 1;

struct Known {
  Body body;
  std::vector<size_t> sizes;
};

std::map<std::string, Known>& entries() {
  static std::map<std::string, Known> map;
  return map;
}

unsigned random_below(unsigned bound) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return static_cast<unsigned>(random_state >> 33) % bound;
}

Fiber& self() { return *fibers[running]; }

void suspend() { self().context.go_to(scheduler); }

/// Ends the launch; the fibers are left where they are.
void fail(const std::string& what) {
  if (error.empty()) {
    error = what + ", in block (" + std::to_string(block_index.x) + ", " + std::to_string(block_index.y) +
            "), thread " + std::to_string(running);
  }
  suspend();
}

void require_shared(const void* pointer, const char* operation) {
  const unsigned char* address = static_cast<const unsigned char*>(pointer);
  if (address < shared || address + 16 > shared + shared_bytes) {
    fail(std::string(operation) + " beyond the block's " + std::to_string(shared_bytes) + " bytes of shared memory");
  }
  if (reinterpret_cast<uintptr_t>(pointer) % 16 != 0) {
    fail(std::string(operation) + " at a shared address that is not a multiple of 16");
  }
}

void body() {
  kernel(kernel_arguments);
  self().step = Step::DONE;
  suspend();
}

float lower(uint32_t pair) { return bits_to_float(pair << 16); }
float upper(uint32_t pair) { return bits_to_float(pair & 0xffff0000u); }

void shuffle(Fiber* const* lanes) {
  for (int i = 0; i < 32; i++) {
    *static_cast<uint32_t*>(lanes[i]->out) = *static_cast<const uint32_t*>(lanes[i ^ lanes[i]->lanes]->in);
  }
}

void load(Fiber* const* lanes, bool transposed) {
  for (int matrix = 0; matrix < 4; matrix++) {
    const uint16_t* rows[8];
    for (int row = 0; row < 8; row++) {
      rows[row] = static_cast<const uint16_t*>(lanes[matrix * 8 + row]->in);
    }
    for (int i = 0; i < 32; i++) {
      const int a = i / 4;
      const int b = i % 4 * 2;
      static_cast<uint32_t*>(lanes[i]->out)[matrix] =
          transposed ? rows[b][a] | rows[b + 1][a] << 16 : rows[a][b] | rows[a][b + 1] << 16;
    }
  }
}

/// The products are exact, their sum is rounded once; a tensor core may round otherwise.
void multiply(Fiber* const* lanes) {
  float a[16][16];
  float b[8][16];
  for (int i = 0; i < 32; i++) {
    const uint32_t* registers = static_cast<const uint32_t*>(lanes[i]->in);
    for (int r = 0; r < 4; r++) {
      float* to = &a[i / 4 + r % 2 * 8][i % 4 * 2 + r / 2 * 8];
      to[0] = lower(registers[r]);
      to[1] = upper(registers[r]);
    }
    for (int r = 0; r < 2; r++) {
      float* to = &b[i / 4][i % 4 * 2 + r * 8];
      to[0] = lower(lanes[i]->b[r]);
      to[1] = upper(lanes[i]->b[r]);
    }
  }
  for (int i = 0; i < 32; i++) {
    float* sums = static_cast<float*>(lanes[i]->out);
    for (int e = 0; e < 4; e++) {
      const float* row = a[i / 4 + e / 2 * 8];
      const float* column = b[i % 4 * 2 + e % 2];
      double sum = sums[e];
      for (int k = 0; k < 16; k++) {
        sum += static_cast<double>(row[k]) * column[k];
      }
      sums[e] = static_cast<float>(sum);
    }
  }
}

/// Lets a warp whose lanes have all come to the same step take it.
void release_warp(unsigned first) {
  Fiber* lanes[32];
  for (int i = 0; i < 32; i++) {
    lanes[i] = fibers[first + i].get();
    if (lanes[i]->step == Step::RUN || lanes[i]->step == Step::BARRIER || lanes[i]->step == Step::DONE) {
      return;
    }
  }
  for (int i = 1; i < 32; i++) {
    if (lanes[i]->step != lanes[0]->step) {
      fail(std::string("lanes of a warp part: ") + name(lanes[0]->step) + " and " + name(lanes[i]->step));
    }
  }
  switch (lanes[0]->step) {
    case Step::SHUFFLE: shuffle(lanes); break;
    case Step::LOAD: load(lanes, false); break;
    case Step::LOAD_TRANSPOSED: load(lanes, true); break;
    default: multiply(lanes);
  }
  for (Fiber* lane : lanes) {
    lane->step = Step::RUN;
  }
}

/// Waits until all lanes of the warp have come here; the last of them does the work of all.
void with_warp(Step step) {
  self().step = step;
  release_warp(running / 32 * 32);
  if (self().step != Step::RUN) {
    suspend();
  }
}

/// Lets the threads go on that wait for their block, if all have come.
bool release_barrier() {
  bool any = false;
  for (unsigned i = 0; i < threads; i++) {
    if (fibers[i]->step != Step::BARRIER && fibers[i]->step != Step::DONE) {
      return false;
    }
    any = any || fibers[i]->step == Step::BARRIER;
  }
  for (unsigned i = 0; i < threads; i++) {
    if (fibers[i]->step == Step::BARRIER) {
      fibers[i]->step = Step::RUN;
    }
  }
  return any;
}

template <class T>
void shuffle(std::vector<T>& list) {
  for (size_t left = list.size(); left > 1; left--) {
    std::swap(list[random_below(static_cast<unsigned>(left))], list[left - 1]);
  }
}

/// Runs the lanes of the first warp in this order that can go on; false if none can.
bool run_some(const std::vector<unsigned>& warps) {
  static std::vector<unsigned> ready;
  for (const unsigned warp : warps) {
    ready.clear();
    for (unsigned i = warp * 32; i < warp * 32 + 32; i++) {
      if (fibers[i]->step == Step::RUN) {
        ready.push_back(i);
      }
    }
    if (!ready.empty()) {
      shuffle(ready);
      for (size_t i = 0; i < ready.size() && error.empty(); i++) {
        running = ready[i];
        thread_index = self().thread;
        scheduler.go_to(self().context);
      }
      return true;
    }
  }
  return false;
}

/// One warp runs as far as it can before the next, so that a missing barrier shows; which, changes by chance.
void run_block() {
  memset(shared, 0xff, shared_bytes);
  std::vector<unsigned> warps;
  for (unsigned i = 0; i < threads; i++) {
    Fiber& fiber = *fibers[i];
    fiber.thread = {i, 0, 0};
    fiber.step = Step::RUN;
    fiber.copies.assign(1, {});
    // Whoever had the stack before never returned from its functions.
    ASAN_UNPOISON_MEMORY_REGION(fiber.stack.get(), STACK_BYTES);
    fiber.context.prepare(fiber.stack.get(), body);
    if (i % 32 == 0) {
      warps.push_back(i / 32);
    }
  }
  shuffle(warps);
  while (error.empty() && (run_some(warps) || release_barrier())) {
    if (random_below(64) == 0) {
      shuffle(warps);
    }
  }
  for (unsigned i = 0; i < threads && error.empty(); i++) {
    if (fibers[i]->step != Step::DONE) {
      error = "threads wait for each other for ever, the first at " + std::string(name(fibers[i]->step));
    }
  }
}

} // namespace

Entry::Entry(const char* name, Body entry, std::vector<size_t> sizes) { entries()[name] = {entry, std::move(sizes)}; }

unsigned char* shared_memory() { return shared; }

void barrier() {
  self().step = Step::BARRIER;
  suspend();
}

uint32_t shuffle_xor(uint32_t value, int lanes) {
  uint32_t result = 0;
  self().in = &value;
  self().out = &result;
  self().lanes = lanes;
  with_warp(Step::SHUFFLE);
  return result;
}

void load_matrices(uint32_t* registers, const void* row, bool transposed) {
  require_shared(row, "ldmatrix");
  self().in = row;
  self().out = registers;
  with_warp(transposed ? Step::LOAD_TRANSPOSED : Step::LOAD);
}

void multiply_accumulate(float* sum, const uint32_t* a, uint32_t b0, uint32_t b1) {
  self().in = a;
  self().out = sum;
  self().b[0] = b0;
  self().b[1] = b1;
  with_warp(Step::MULTIPLY);
}

void copy_async(void* to, const void* from) {
  require_shared(to, "cp.async");
  if (reinterpret_cast<uintptr_t>(from) % 16 != 0) {
    fail("cp.async from a global address that is not a multiple of 16");
  }
  memset(to, 0xff, 16);
  self().copies.back().push_back({to, from});
}

void commit_copies() { self().copies.emplace_back(); }

void wait_for_copies(int groups) {
  auto& copies = self().copies;
  while (copies.size() > static_cast<size_t>(groups) + 1) {
    for (const Copy& copy : copies.front()) {
      memcpy(copy.to, copy.from, 16);
    }
    copies.erase(copies.begin());
  }
}

} // namespace twin

// The driver that Java binds. One thread at a time; every function but the last returns null or 0 when it fails.

extern "C" void* twin_allocate(size_t bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, 256, bytes + !bytes) != 0) {
    return nullptr;
  }
  memset(memory, 0xff, bytes);
  return memory;
}

extern "C" void twin_free(void* memory) { free(memory); }

extern "C" int twin_has(const char* kernel) { return twin::entries().count(kernel) != 0; }

extern "C" void twin_seed(uint64_t seed) { twin::random_state = seed * 2 + 1; }

/// Null, or what went wrong.
extern "C" const char* twin_launch(const char* kernel, unsigned grid_x, unsigned grid_y, unsigned threads,
                                   size_t shared_bytes, void** arguments) {
  using namespace twin;
  error.clear();
  if (threads == 0 || threads % 32 != 0 || threads > MAX_THREADS || shared_bytes > MAX_SHARED_BYTES || grid_x == 0 ||
      grid_y == 0 || grid_y > 65535) {
    error = "a launch that no device takes";
    return error.c_str();
  }
  while (fibers.size() < threads) {
    fibers.push_back(std::make_unique<Fiber>());
  }
  twin::kernel = entries().at(kernel).body;
  kernel_arguments = arguments;
  twin::threads = threads;
  twin::shared_bytes = shared_bytes;
  shared = static_cast<unsigned char*>(twin_allocate(shared_bytes));
  block_size = {threads, 1, 1};
  grid_size = {grid_x, grid_y, 1};
  std::vector<unsigned> blocks(static_cast<size_t>(grid_x) * grid_y);
  std::iota(blocks.begin(), blocks.end(), 0u);
  shuffle(blocks);
  for (size_t i = 0; i < blocks.size() && error.empty(); i++) {
    block_index = {blocks[i] % grid_x, blocks[i] / grid_x, 0};
    run_block();
  }
  free(shared);
  if (!error.empty()) {
    error = std::string(kernel) + ": " + error;
    return error.c_str();
  }
  return nullptr;
}
