// All kernels, compiled as one module.
#include "attention.cuh"
#include "multiply.cuh"
#include "probes.cuh"
#include "rows.cuh"
#include "sampling.cuh"
