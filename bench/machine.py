"""The machine: what it is, and the most arithmetic that one core of it does."""

import contextlib
import platform
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from joblib import cpu_count
from threadpoolctl import threadpool_limits

from bench.ratio import Way, timed
from lth.lineage import environment
from lth.training.engines.processor import cpu_info

SIZE = 1024


def machine() -> dict[str, Any]:
    """Versions, the processor's name, its widest vector instructions, cores."""
    entries = cpu_info()
    name = entries.get("model name") or platform.processor() or platform.machine()
    flags = entries.get("flags", "").split()
    vectors = next((words for flag, words in VECTORS.items() if flag in flags), "no AVX")
    return environment() | {"cpu": name, "vectors": vectors, "cores": cpu_count(only_physical_cores=True)}


VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2"}


@contextlib.contextmanager
def plain_threads(number: int = 1) -> Iterator[None]:
    """So many threads, and otherwise as PyTorch comes: denormals are computed with."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def peak() -> Way:
    """Products of two 1024 x 1024 float32 matrices in one thread, by the faster of PyTorch's and NumPy's library."""
    left, right = torch.rand(SIZE, SIZE), torch.rand(SIZE, SIZE)
    out = torch.empty(SIZE, SIZE)
    arrays = left.numpy(), right.numpy(), out.numpy()

    def products(count: int) -> float:
        with plain_threads(), threadpool_limits(1, "blas"):
            by_torch = sum(timed(lambda: torch.mm(left, right, out=out)) for _ in range(count))
            by_numpy = sum(timed(lambda: np.dot(*arrays)) for _ in range(count))
        return min(by_torch, by_numpy)

    return products


def gflops_of_peak(seconds: float) -> float:
    """10^9 operations a second, from the seconds of one product."""
    return 2 * SIZE**3 / seconds / 1e9
