"""Measures the largest bfloat16 product of PyTorch on the first GPU, in TFLOP/s: what `sarathi gpu-bench --peer-flops` takes."""

import time

import torch

x, w = (torch.randn(n, 4096, device="cuda", dtype=torch.bfloat16) for n in (4096, 11008))
for timed in (3, 50):
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(timed):
        torch.nn.functional.linear(x, w)
    torch.cuda.synchronize()
print(f"{2 * 4096 * 4096 * 11008 * timed / (time.perf_counter() - start) / 1e12:.1f}")
