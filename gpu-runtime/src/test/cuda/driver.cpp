// A stand-in for NVIDIA's libcuda.so.1 over the twin: what the executor asks of the driver, and no more, so
// that JCuda's binding and the search for a driver are tested where there is none. The environment variables
// TWIN_DRIVER_VERSION, TWIN_DEVICES and TWIN_CAPABILITY make it an older driver, one without a GPU, or another
// GPU; TWIN_MEMORY is how many bytes can be allocated, TWIN_FAILS the result of every launch; with TWIN_CAPTURES=0
// it captures none.
#include "twin.cpp"

namespace {

constexpr int SUCCESS = 0;
constexpr int INVALID_VALUE = 1;
constexpr int OUT_OF_MEMORY = 2;
constexpr int NOT_FOUND = 500;
constexpr int CAPTURE_UNSUPPORTED = 900;
constexpr uint32_t FATBIN_MAGIC = 0xba55ed50;
constexpr unsigned SHARED_BYTES_FOR_ALL = 48 << 10;

struct Kernel {
  std::string name;
  unsigned shared_bytes = SHARED_BYTES_FOR_ALL;
};

/// A launch with its arguments as they were.
struct Captured {
  std::string kernel;
  unsigned grid_x, grid_y, threads, shared_bytes;
  std::vector<std::vector<unsigned char>> arguments;
};

using Graph = std::vector<Captured>;

Graph* capturing;
std::map<std::string, Kernel> kernels;
long allocated;
bool attached;

long setting(const char* name, long otherwise) {
  const char* value = getenv(name);
  return value ? atol(value) : otherwise;
}

int launch(const std::string& kernel, unsigned grid_x, unsigned grid_y, unsigned threads, unsigned shared_bytes,
           void** arguments) {
  const char* error = twin_launch(kernel.c_str(), grid_x, grid_y, threads, shared_bytes, arguments);
  if (error) {
    fprintf(stderr, "%s\n", error);
  }
  return error ? INVALID_VALUE : static_cast<int>(setting("TWIN_FAILS", SUCCESS));
}

long memory() { return setting("TWIN_MEMORY", 1L << 30); }

} // namespace

extern "C" {

int cuInit(unsigned) { return SUCCESS; }

int cuDriverGetVersion(int* version) {
  *version = static_cast<int>(setting("TWIN_DRIVER_VERSION", 13000));
  return SUCCESS;
}

int cuDeviceGetCount(int* count) {
  *count = static_cast<int>(setting("TWIN_DEVICES", 1));
  return SUCCESS;
}

int cuDeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return ordinal == 0 ? SUCCESS : INVALID_VALUE;
}

int cuDeviceGetName(char* name, int length, int) {
  snprintf(name, static_cast<size_t>(length), "CPU twin");
  return SUCCESS;
}

int cuDeviceGetAttribute(int* value, int attribute, int) {
  const int capability = static_cast<int>(setting("TWIN_CAPABILITY", 80));
  switch (attribute) {
    case 16: *value = 4; return SUCCESS; // processors
    case 75: *value = capability / 10; return SUCCESS;
    case 76: *value = capability % 10; return SUCCESS;
    default: return INVALID_VALUE;
  }
}

int cuDevicePrimaryCtxRetain(void** context, int) {
  *context = &attached;
  return SUCCESS;
}

int cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }

int cuCtxSetCurrent(void* context) {
  attached = context == &attached;
  return attached ? SUCCESS : INVALID_VALUE;
}

int cuMemGetInfo_v2(size_t* free, size_t* total) {
  *free = static_cast<size_t>(memory() - allocated);
  *total = static_cast<size_t>(memory());
  return SUCCESS;
}

int cuMemAlloc_v2(void** address, size_t bytes) {
  if (capturing) {
    return CAPTURE_UNSUPPORTED;
  }
  if (!attached || allocated + static_cast<long>(bytes) > memory()) {
    return OUT_OF_MEMORY;
  }
  allocated += static_cast<long>(bytes);
  *address = twin_allocate(bytes);
  return SUCCESS;
}

int cuMemFree_v2(void* address) {
  twin_free(address);
  return SUCCESS;
}

int cuMemAllocHost_v2(void** address, size_t bytes) {
  *address = twin_allocate(bytes);
  return SUCCESS;
}

int cuMemFreeHost(void* address) {
  twin_free(address);
  return SUCCESS;
}

int cuMemcpyHtoDAsync_v2(void* to, const void* from, size_t bytes, void*) {
  memcpy(to, from, bytes);
  return capturing ? CAPTURE_UNSUPPORTED : SUCCESS;
}

int cuMemcpyDtoHAsync_v2(void* to, const void* from, size_t bytes, void*) {
  memcpy(to, from, bytes);
  return capturing ? CAPTURE_UNSUPPORTED : SUCCESS;
}

int cuMemcpyDtoDAsync_v2(void* to, const void* from, size_t bytes, void*) {
  memcpy(to, from, bytes);
  return SUCCESS;
}

int cuMemsetD8Async(void* to, unsigned char value, size_t bytes, void*) {
  memset(to, value, bytes);
  return SUCCESS;
}

int cuModuleLoadData(void** module, const void* image) {
  *module = &kernels;
  return *static_cast<const uint32_t*>(image) == FATBIN_MAGIC ? SUCCESS : INVALID_VALUE;
}

int cuModuleUnload(void*) { return SUCCESS; }

int cuModuleGetFunction(void** function, void*, const char* name) {
  if (!twin_has(name)) {
    return NOT_FOUND;
  }
  Kernel& kernel = kernels[name];
  kernel.name = name;
  *function = &kernel;
  return SUCCESS;
}

int cuFuncSetAttribute(void* function, int attribute, int value) {
  if (attribute != 8) { // dynamic shared memory
    return INVALID_VALUE;
  }
  static_cast<Kernel*>(function)->shared_bytes = static_cast<unsigned>(value);
  return SUCCESS;
}

int cuLaunchKernel(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                   unsigned block_z, unsigned shared_bytes, void*, void** arguments, void** extra) {
  const Kernel& kernel = *static_cast<Kernel*>(function);
  if (grid_z != 1 || block_y != 1 || block_z != 1 || extra || shared_bytes > kernel.shared_bytes) {
    return INVALID_VALUE;
  }
  if (!capturing) {
    return launch(kernel.name, grid_x, grid_y, block_x, shared_bytes, arguments);
  }
  Captured captured{kernel.name, grid_x, grid_y, block_x, shared_bytes, {}};
  for (const size_t size : twin::entries().at(kernel.name).sizes) {
    const unsigned char* value = static_cast<const unsigned char*>(arguments[captured.arguments.size()]);
    captured.arguments.emplace_back(value, value + size);
  }
  capturing->push_back(std::move(captured));
  return SUCCESS;
}

int cuStreamBeginCapture_v2(void*, int) {
  if (capturing || setting("TWIN_CAPTURES", 1) == 0) {
    return CAPTURE_UNSUPPORTED;
  }
  capturing = new Graph();
  return SUCCESS;
}

int cuStreamEndCapture(void*, void** graph) {
  *graph = capturing;
  capturing = nullptr;
  return *graph ? SUCCESS : INVALID_VALUE;
}

int cuGraphInstantiateWithFlags(void** executable, void* graph, unsigned long long) {
  *executable = new Graph(*static_cast<Graph*>(graph));
  return SUCCESS;
}

int cuGraphDestroy(void* graph) {
  delete static_cast<Graph*>(graph);
  return SUCCESS;
}

int cuGraphExecDestroy(void* executable) { return cuGraphDestroy(executable); }

int cuGraphLaunch(void* executable, void*) {
  for (Captured& captured : *static_cast<Graph*>(executable)) {
    std::vector<void*> arguments;
    for (auto& argument : captured.arguments) {
      arguments.push_back(argument.data());
    }
    const int status = launch(captured.kernel, captured.grid_x, captured.grid_y, captured.threads,
                              captured.shared_bytes, arguments.data());
    if (status != SUCCESS) {
      return status;
    }
  }
  return SUCCESS;
}

int cuStreamCreate(void** stream, unsigned) {
  *stream = &kernels;
  return SUCCESS;
}

int cuStreamDestroy_v2(void*) { return SUCCESS; }

int cuStreamSynchronize(void*) { return capturing ? CAPTURE_UNSUPPORTED : SUCCESS; }

} // extern "C"
