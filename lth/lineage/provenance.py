"""How a result came about: versions, machine, threads. Recorded beside results, never part of their keys."""

import platform
import sys
from importlib import metadata
from typing import Any

import torch


def environment() -> dict[str, Any]:
    """Versions and machine, as JSON values."""
    return {
        "lth": metadata.version("lth"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "implementation": sys.implementation.name,
    }


def run_provenance(
    engine: str, device: str, population: int, seconds: float, steps: int, signature: str | None = None
) -> dict[str, Any]:
    """The environment and how one training was run: what bit-equality depends on, and how long it took.

    Args:
        engine: who trained: `torch` or `sparse`.
        device: `cpu` or a CUDA device.
        population: members trained in one stack.
        seconds: wall time of this process (after a resume, of the last part).
        steps: optimizer steps of each member in that time.
        signature: of the engine; None where it is not known, as while a training runs.
    """
    run = {
        "engine": engine,
        "device": device if device == "cpu" else torch.cuda.get_device_name(device),
        "threads": torch.get_num_threads(),
        "population": population,
        "seconds": round(seconds, 3),
        "steps": steps,
    }
    return environment() | run | ({} if signature is None else {"signature": signature})
