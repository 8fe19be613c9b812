"""The doctor's look at the CPU engines: the way that Linear layers take, and whether the sparse engine can run."""

import importlib
import time
from typing import Literal

Judgement = tuple[Literal["ok", "warn", "fail"], str, str]
"""Status, what was found, advice (empty when ok)."""

LEAST_TURNS = 20  # a machine with other work to do may not get that far in the time
CLEARLY = 1.25  # less may be the noise of a busy machine


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
    """Judge the path by its measured speed.

    Args:
        path: `torch` or `onednn`.
        gain: how many times as fast oneDNN is.
    """
    size = "(784 to 300, batch 60, forward and backward, one thread)"
    if path == "onednn":
        found = f"through oneDNN, {gain:.2f} times as fast as torch's matrix products {size}"
        slow = "oneDNN is slower here: set LTH_LINEAR=torch" if gain * CLEARLY < 1 else ""
    else:
        found = f"by torch's matrix products; oneDNN is {gain:.2f} times as fast {size}"
        slow = "oneDNN is faster here: set LTH_LINEAR=onednn" if gain > CLEARLY else ""
    return "warn" if slow else "ok", found, slow


def measure_linear(seconds: float = 0.3) -> float:
    """Measure how many times as fast a Linear layer is through oneDNN: shortest times, in turns, one thread.

    Args:
        seconds: how long to measure.
    """
    import torch

    from lth.training.engines.linear import OneDnnLinear

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        inputs, gradient = torch.ones(60, 784, requires_grad=True), torch.ones(60, 300)
        ways = {kind: kind(784, 300) for kind in (torch.nn.Linear, OneDnnLinear)}
        shortest = dict.fromkeys(ways, float("inf"))
        end, turns = time.perf_counter() + seconds, 0
        while time.perf_counter() < end or turns < LEAST_TURNS:
            for kind, layer in ways.items():
                start = time.perf_counter()
                layer(inputs).backward(gradient)
                passed = time.perf_counter() - start
                if turns > 0:  # the first sets the library up
                    shortest[kind] = min(shortest[kind], passed)
                layer.zero_grad()
            turns += 1
        return shortest[torch.nn.Linear] / shortest[OneDnnLinear]
    finally:
        torch.set_num_threads(threads)


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
