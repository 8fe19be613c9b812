"""The doctor's look at speed: matrix products, the path of Linear layers, and whether the sparse engine can run."""

import importlib
import time
from collections.abc import Callable
from typing import Literal

Judgement = tuple[Literal["ok", "warn", "fail"], str, str]
"""Status, what was found, advice (empty when ok)."""

SECONDS = 0.2
"""How long a measurement takes."""

LEAST_TURNS = 20  # a machine with other work to do may not get that far in the time
CLEARLY = 1.25  # less may be the noise of a busy machine
SLOW_GFLOPS = 5.0  # a tenth of what one core of the last ten years does with AVX2

WAYS = {"torch": "torch's matrix products", "onednn": "oneDNN"}


def check_blas() -> Judgement:
    """Check the matrix product: library, vector instructions, and speed."""
    import torch

    settings = (part.strip() for part in torch.__config__.show().replace("\n", ",").split(","))
    blas = next((part.split("BLAS_INFO=")[1] for part in settings if "BLAS_INFO=" in part), "unknown library")
    return judge_blas(blas, torch.backends.cpu.get_cpu_capability(), measure_gflops())


def judge_blas(blas: str, capability: str, gflops: float) -> Judgement:
    """Judge the matrix product by torch's library, its vector instructions, and 10^9 operations a second."""
    advice = ""
    if gflops < SLOW_GFLOPS:
        no_vectors = "; torch uses no vector instructions: unset ATEN_CPU_CAPABILITY" if capability == "DEFAULT" else ""
        advice = f"very slow: is the machine busy with other work, or emulated?{no_vectors}"
    found = f"{blas}, {capability}, {gflops:.0f} GFLOP/s in one thread (512 x 512, float32)"
    return "warn" if advice else "ok", found, advice


def measure_gflops(size: int = 512, seconds: float = SECONDS) -> float:
    """Return the 10^9 operations a second of a float32 product of two square matrices in one thread."""
    import torch

    left, right, product = (torch.ones(size, size) for _ in range(3))
    (shortest,) = shortest_times(seconds, lambda: torch.mm(left, right, out=product))
    return 2 * size**3 / shortest / 1e9


def check_linear() -> Judgement:
    """Check which path Linear layers take here, and what the other one would do."""
    from lth.training.engines.linear import linear_path, onednn_works

    try:
        path = linear_path()
    except ValueError as error:
        return "fail", "LTH_LINEAR is not possible", str(error)
    if not onednn_works():
        return "ok", "by torch's matrix products; this torch ships no oneDNN product", ""
    return judge_linear(path, measure_linear())


def judge_linear(path: str, gain: float) -> Judgement:
    """Judge the path, `torch` or `onednn`, by how many times as fast oneDNN is."""
    other = "torch" if path == "onednn" else "onednn"
    ratio = gain if path == "onednn" else 1 / gain
    speed = f"{ratio:.2f} times as fast as" if ratio >= 1 else f"slower: it takes {1 / ratio:.2f} times as long as"
    found = f"by {WAYS[path]}, {speed} {WAYS[other]} (784 to 300, batch 60, forward and backward, one thread)"
    if ratio * CLEARLY < 1:
        return "warn", found, f"set LTH_LINEAR={other}"
    return "ok", found + ("" if ratio >= 1 else "; so small a difference may be noise"), ""


def measure_linear(seconds: float = SECONDS) -> float:
    """Return how many times as fast a Linear layer is through oneDNN, in one thread."""
    import torch

    from lth.training.engines.linear import OneDnnLinear

    inputs, gradient = torch.ones(60, 784, requires_grad=True), torch.ones(60, 300)
    plain, onednn = torch.nn.Linear(784, 300), OneDnnLinear(784, 300)
    both = shortest_times(seconds, lambda: plain(inputs).backward(gradient), lambda: onednn(inputs).backward(gradient))
    return both[0] / both[1]


def shortest_times(seconds: float, *calls: Callable[[], object]) -> list[float]:
    """Return the shortest time of each call, in seconds: in turns, in one thread; the first turn does not count."""
    from lth.lineage.executors import one_thread

    with one_thread():
        shortest = [float("inf")] * len(calls)
        end, turns = time.perf_counter() + seconds, 0
        while time.perf_counter() < end or turns < LEAST_TURNS:
            for index, call in enumerate(calls):
                start = time.perf_counter()
                call()
                passed = time.perf_counter() - start
                if turns:
                    shortest[index] = min(shortest[index], passed)
            turns += 1
    return shortest


def check_sparse() -> Judgement:
    """Check whether the sparse engine can run: all of it is compiled by numba."""
    try:
        numba = importlib.import_module("numba")
        steps = importlib.import_module("lth.training.engines.sparse.steps")
        importlib.import_module("lth.training.engines.sparse.engine")
    except (ImportError, OSError, RuntimeError) as error:
        advice = "install numba into this environment, or train with --engine torch"
        return "warn", f"cannot be loaded: {error}", advice
    from lth.sparsity.numba_cache import has_cache_folder

    if not has_cache_folder(steps.train_steps):
        advice = "set NUMBA_CACHE_DIR to a folder that can be written"
        return "warn", "its compiled code cannot be kept: every run compiles anew, for ten seconds and more", advice
    return "ok", f"numba {numba.__version__} compiles it at first use", ""
