package dev.sarathi.runtime.execute.cuda;

import static jcuda.driver.JCudaDriver.cuCtxSetCurrent;
import static jcuda.driver.JCudaDriver.cuDeviceGet;
import static jcuda.driver.JCudaDriver.cuDeviceGetAttribute;
import static jcuda.driver.JCudaDriver.cuDeviceGetName;
import static jcuda.driver.JCudaDriver.cuDevicePrimaryCtxRelease;
import static jcuda.driver.JCudaDriver.cuDevicePrimaryCtxRetain;
import static jcuda.driver.JCudaDriver.cuFuncSetAttribute;
import static jcuda.driver.JCudaDriver.cuGraphDestroy;
import static jcuda.driver.JCudaDriver.cuGraphExecDestroy;
import static jcuda.driver.JCudaDriver.cuGraphInstantiate;
import static jcuda.driver.JCudaDriver.cuGraphLaunch;
import static jcuda.driver.JCudaDriver.cuInit;
import static jcuda.driver.JCudaDriver.cuLaunchKernel;
import static jcuda.driver.JCudaDriver.cuMemAlloc;
import static jcuda.driver.JCudaDriver.cuMemAllocHost;
import static jcuda.driver.JCudaDriver.cuMemFree;
import static jcuda.driver.JCudaDriver.cuMemGetInfo;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoDAsync;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoHAsync;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoDAsync;
import static jcuda.driver.JCudaDriver.cuMemsetD8Async;
import static jcuda.driver.JCudaDriver.cuModuleGetFunction;
import static jcuda.driver.JCudaDriver.cuModuleLoadData;
import static jcuda.driver.JCudaDriver.cuModuleUnload;
import static jcuda.driver.JCudaDriver.cuStreamBeginCapture;
import static jcuda.driver.JCudaDriver.cuStreamCreate;
import static jcuda.driver.JCudaDriver.cuStreamDestroy;
import static jcuda.driver.JCudaDriver.cuStreamEndCapture;
import static jcuda.driver.JCudaDriver.cuStreamSynchronize;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.stream.Stream;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdevice_attribute;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUfunction;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import jcuda.driver.CUstreamCaptureMode;
import jcuda.driver.CUstream_flags;

/**
 * The first GPU, through NVIDIA's driver.
 *
 * <p>Threading: one thread at a time; another one calls {@link #attach()} first.
 */
final class JcudaDriver implements Driver {
  /** A kernel that wants more shared memory must ask for it. */
  private static final int SHARED_BYTES_FOR_ALL = 48 << 10;

  /** Device memory that knows its address. */
  private static final class Memory extends CUdeviceptr {
    private static final long serialVersionUID = 1;

    private long address() {
      return getNativePointer();
    }
  }

  private final CUdevice cuDevice = new CUdevice();
  private final CUcontext context = new CUcontext();
  private final CUstream stream = new CUstream();
  private final CUmodule module = new CUmodule();
  private final Device device;
  private final NavigableMap<Long, Memory> memory = new TreeMap<>();
  private final List<Pointer> hostMemory = new ArrayList<>();
  private final Map<String, CUfunction> kernels = new HashMap<>();
  private final List<CUgraphExec> graphs = new ArrayList<>();
  private boolean closed;

  /** To be called where {@link InstalledDriver} has found no problem. */
  JcudaDriver() {
    final KernelModule kernelModule = KernelModule.find().orElseThrow();
    check("cuInit", cuInit(0));
    check("cuDeviceGet", cuDeviceGet(cuDevice, 0));
    check("cuDevicePrimaryCtxRetain", cuDevicePrimaryCtxRetain(context, cuDevice));
    attach();
    device = describe();
    check("cuStreamCreate", cuStreamCreate(stream, CUstream_flags.CU_STREAM_NON_BLOCKING));
    check("cuModuleLoadData", cuModuleLoadData(module, kernelModule.fatbin()));
  }

  private Device describe() {
    final byte[] name = new byte[256];
    check("cuDeviceGetName", cuDeviceGetName(name, name.length, cuDevice));
    return new Device(
        new String(name, StandardCharsets.UTF_8).split("\0", 2)[0],
        "sm_%d%d"
            .formatted(
                attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
                attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)),
        attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT));
  }

  private int attribute(final int number) {
    final int[] value = new int[1];
    check("cuDeviceGetAttribute", cuDeviceGetAttribute(value, number, cuDevice));
    return value[0];
  }

  @Override
  public Device device() {
    return device;
  }

  @Override
  public void attach() {
    check("cuCtxSetCurrent", cuCtxSetCurrent(context));
  }

  @Override
  public long freeMemory() {
    final long[] free = new long[1];
    check("cuMemGetInfo", cuMemGetInfo(free, new long[1]));
    return free[0];
  }

  @Override
  public long allocate(final long bytes) {
    final Memory allocated = new Memory();
    final int status = cuMemAlloc(allocated, bytes);
    if (status == CUresult.CUDA_ERROR_OUT_OF_MEMORY) {
      throw new DeviceException(
          ("%s has %d bytes free, but %d are needed; close what else uses it, set a smaller KV"
                  + " memory, token budget or max context, or use a larger GPU")
              .formatted(device.name(), freeMemory(), bytes));
    }
    check("cuMemAlloc", status);
    memory.put(allocated.address(), allocated);
    return allocated.address();
  }

  @Override
  public void free(final long address) {
    check("cuMemFree", cuMemFree(memory.remove(address)));
  }

  @Override
  public MemorySegment hostMemory(final long bytes) {
    final Pointer allocated = new Pointer();
    check("cuMemAllocHost", cuMemAllocHost(allocated, bytes));
    hostMemory.add(allocated);
    return MemorySegment.ofBuffer(allocated.getByteBuffer(0, bytes));
  }

  @Override
  public void fillWithZeros(final long address, final long bytes) {
    check("cuMemsetD8Async", cuMemsetD8Async(at(address), (byte) 0, bytes, stream));
  }

  @Override
  public void upload(final MemorySegment from, final long address) {
    check(
        "cuMemcpyHtoDAsync",
        cuMemcpyHtoDAsync(at(address), Pointer.to(from.asByteBuffer()), from.byteSize(), stream));
  }

  @Override
  public void download(final long address, final MemorySegment to) {
    check(
        "cuMemcpyDtoHAsync",
        cuMemcpyDtoHAsync(Pointer.to(to.asByteBuffer()), at(address), to.byteSize(), stream));
  }

  @Override
  public void copy(final long from, final long to, final long bytes) {
    check("cuMemcpyDtoDAsync", cuMemcpyDtoDAsync(at(to), at(from), bytes, stream));
  }

  /** JCuda wants the pointer that it made, and an offset. */
  private CUdeviceptr at(final long address) {
    final Map.Entry<Long, Memory> entry = memory.floorEntry(address);
    return entry.getValue().withByteOffset(address - entry.getKey());
  }

  @Override
  public void launch(final Launch launch) {
    final CUfunction kernel = kernels.computeIfAbsent(launch.kernel(), this::kernel);
    if (launch.sharedBytes() > SHARED_BYTES_FOR_ALL) {
      check(
          "cuFuncSetAttribute",
          cuFuncSetAttribute(
              kernel,
              CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
              launch.sharedBytes()));
    }
    final Pointer arguments =
        Pointer.to(
            Stream.of(launch.arguments()).map(JcudaDriver::argument).toArray(Pointer[]::new));
    check(
        launch.kernel(),
        cuLaunchKernel(
            kernel,
            launch.gridX(),
            launch.gridY(),
            1,
            launch.threads(),
            1,
            1,
            launch.sharedBytes(),
            stream,
            arguments,
            null));
  }

  private CUfunction kernel(final String name) {
    final CUfunction kernel = new CUfunction();
    check("cuModuleGetFunction " + name, cuModuleGetFunction(kernel, module, name));
    return kernel;
  }

  private static Pointer argument(final Object value) {
    return switch (value) {
      case Long address -> Pointer.to(new long[] {address});
      case Integer number -> Pointer.to(new int[] {number});
      case Float number -> Pointer.to(new float[] {number});
      default -> throw new IllegalArgumentException("argument of " + value.getClass());
    };
  }

  @Override
  public Graph capture(final Runnable launches) {
    check(
        "cuStreamBeginCapture",
        cuStreamBeginCapture(stream, CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    final CUgraph captured = new CUgraph();
    final int ended;
    try {
      launches.run();
    } finally {
      ended = cuStreamEndCapture(stream, captured);
    }
    check("cuStreamEndCapture", ended);
    final CUgraphExec graph = new CUgraphExec();
    final int instantiated = cuGraphInstantiate(graph, captured, 0);
    cuGraphDestroy(captured);
    check("cuGraphInstantiate", instantiated);
    graphs.add(graph);
    return new Graph() {
      @Override
      public void launch() {
        check("cuGraphLaunch", cuGraphLaunch(graph, stream));
      }

      @Override
      public void close() {
        graphs.remove(graph);
        cuGraphExecDestroy(graph);
      }
    };
  }

  @Override
  public void synchronize() {
    check("cuStreamSynchronize", cuStreamSynchronize(stream));
  }

  private static void check(final String operation, final int status) {
    switch (status) {
      case CUresult.CUDA_SUCCESS -> {}
      case CUresult.CUDA_ERROR_ILLEGAL_ADDRESS ->
          throw new DeviceException(
              operation
                  + ": a kernel went to an illegal address (CUDA_ERROR_ILLEGAL_ADDRESS); this is a"
                  + " fault of the kernels, please report it; the process must be started again");
      default -> throw new DeviceException(operation + ": " + CUresult.stringFor(status));
    }
  }

  /**
   * From any thread. What the driver refuses here it has lost already, for instance after an
   * illegal address.
   */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    cuCtxSetCurrent(context);
    cuStreamSynchronize(stream);
    graphs.forEach(jcuda.driver.JCudaDriver::cuGraphExecDestroy);
    memory.values().forEach(jcuda.driver.JCudaDriver::cuMemFree);
    hostMemory.forEach(jcuda.driver.JCudaDriver::cuMemFreeHost);
    cuModuleUnload(module);
    cuStreamDestroy(stream);
    cuDevicePrimaryCtxRelease(cuDevice);
  }
}
