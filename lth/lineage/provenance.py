"""How a result came about: versions, machine, threads. Recorded beside results, never part of their keys."""

import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from typing import Any

import torch

READERS = ("transformers", "gguf", "accelerate")
"""Packages that read, dequantise and run networks of others."""


def environment() -> dict[str, Any]:
    """Return versions and machine, as JSON values; of READERS those that are installed."""
    return {
        "lth": metadata.version("lth"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "implementation": sys.implementation.name,
        **_readers(),
    }


@cache
def _readers() -> dict[str, str]:
    installed = {each.name.lower(): each.version for name in READERS for each in metadata.distributions(name=name)}
    return {name: installed[name] for name in READERS if name in installed}


def run_provenance(
    engine: str, device: str, population: int, seconds: float, steps: int, signature: str | None = None
) -> dict[str, Any]:
    """Return the environment and how one job was run: what bit-equality depends on, and how long it took.

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


@contextmanager
def timed_provenance(engine: str, device: str) -> Iterator[dict[str, Any]]:
    """Give the provenance of a job that is no training; its seconds are filled in at the end."""
    began, provenance = time.monotonic(), run_provenance(engine, device, 1, 0.0, 0)
    yield provenance
    provenance["seconds"] = round(time.monotonic() - began, 3)
