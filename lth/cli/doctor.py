"""`lth doctor`: what this machine offers, what is wrong with it, and what to do about that."""

import importlib
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path
from typing import Literal

from lth.cli.options import Flag

MIN_PYTHON = (3, 11)
MIN_TORCH = (2, 8)
GIB = 2**30
DISK_WARN, DISK_FAIL = 2 * GIB, 200 * 2**20
SLOW_GFLOPS = 5.0  # a tenth of what one core of the last ten years does with AVX2

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the examination.

    Attributes:
        name: what was looked at.
        status: "ok", "warn" (works, but slowly or not for everything) or "fail" (lth will not run).
        found: what is there.
        advice: what to do; empty when ok.
    """

    name: str
    status: Status
    found: str
    advice: str = ""


def doctor(*, store: Path = Path("lth-store"), data: Path | None = None, json: Flag = False) -> int:
    """Examine this machine: Python, torch, cores, speed, engines, GPUs, data, store and disk. Exit 1 if a check fails.

    Args:
        store: folder of results; it is looked at, not created.
        data: folder of data sets. Default: the environment variable LTH_DATA_DIR, then the user's cache.
        json: print one JSON object in place of the table.
    """
    checks = examine(store, data)
    healthy = all(check.status != "fail" for check in checks)
    if json:
        print(dumps({"healthy": healthy, "checks": [asdict(check) for check in checks]}, indent=2))
    elif sys.stdout.isatty():
        _print_table(checks)
    else:
        for check in checks:
            print(f"{check.status:<5} {check.name:<8} {check.found}")
            if check.advice:
                print(f"{'':<15}-> {check.advice}")
    return 0 if healthy else 1


def examine(store: Path, data_folder: Path | None) -> list[Check]:
    """Make all checks, in the order in which they are printed; takes about a second after importing torch.

    Args:
        store: folder of results; not created.
        data_folder: folder of data sets; None stands for LTH_DATA_DIR, then the user's cache.
    """
    checks = [judge_python(sys.version_info[:3])]
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError) as error:  # OSError: a shared library that does not load
        advice = "install PyTorch as described at pytorch.org, into the environment of this Python"
        checks.append(Check("torch", "fail", f"cannot be imported: {error}", advice))
    else:
        capability = torch.backends.cpu.get_cpu_capability()
        from lth.cli.doctor_engines import check_linear, check_sparse
        from lth.training.engines.processor import vendor_and_avx512

        vendor, has_avx512 = vendor_and_avx512()
        checks += [
            judge_torch(torch.__version__),
            judge_threads(torch.get_num_threads(), *_cores(), os.environ.get("OMP_NUM_THREADS")),
            judge_blas(torch.__config__.show(), capability, vendor, has_avx512, measure_gflops()),
            Check("Linear", *check_linear()),
            Check("sparse", *check_sparse()),
            _check_gpus(),
            _check_data(data_folder),
        ]
    return [*checks, _check_store(store), judge_disk(shutil.disk_usage(_nearest(store)).free, _nearest(store))]


def judge_python(version: tuple[int, ...]) -> Check:
    """Judge the interpreter's version."""
    found = ".".join(map(str, version))
    if version >= MIN_PYTHON:
        return Check("Python", "ok", found)
    return Check("Python", "fail", found, "lth needs Python {}.{} or later: make a new environment".format(*MIN_PYTHON))


def judge_torch(version: str) -> Check:
    """Judge torch's version, such as "2.13.0+cpu"."""
    release = tuple(int(part) for part in version.split("+")[0].split(".")[:2])
    if release >= MIN_TORCH:
        return Check("torch", "ok", version)
    return Check("torch", "fail", version, "lth needs torch {}.{} or later: upgrade it".format(*MIN_TORCH))


def judge_threads(threads: int, usable: int, physical: int, omp_num_threads: str | None) -> Check:
    """Judge torch's threads by the CPUs that this process may use.

    Args:
        threads: threads of one torch operation.
        usable: CPUs that this process may run on.
        physical: cores that these CPUs belong to.
        omp_num_threads: the environment variable of that name.
    """
    setting = "is not set" if omp_num_threads is None else f"is {omp_num_threads}"
    found = f"torch uses {threads} of {usable} CPUs ({physical} physical cores); OMP_NUM_THREADS {setting}"
    if threads <= usable:
        return Check("threads", "ok", found)
    advice = f"more threads than CPUs wait for one another: set OMP_NUM_THREADS={physical}, or ask for more CPUs"
    return Check("threads", "warn", found, advice)


def judge_blas(build: str, capability: str, vendor: str, has_avx512: bool, gflops: float) -> Check:
    """Judge the matrix product: library, vector width and speed.

    Args:
        build: `torch.__config__.show()`.
        capability: vector instructions that torch uses: "DEFAULT", "AVX2", "AVX512", or another machine's.
        vendor: the CPU's vendor as in /proc/cpuinfo, such as "AuthenticAMD"; empty where unknown.
        has_avx512: whether the CPU has AVX-512.
        gflops: measured 10^9 operations a second, one thread.
    """
    settings = (part.strip() for part in build.replace("\n", ",").split(","))
    blas = next((part.split("BLAS_INFO=")[1] for part in settings if "BLAS_INFO=" in part), "unknown library")
    found = f"{blas}, {capability}, {gflops:.0f} GFLOP/s in one thread (512 x 512, float32)"
    if gflops < SLOW_GFLOPS:
        return Check("BLAS", "warn", found, "very slow: is the machine busy with other work, or emulated?")
    if capability == "DEFAULT" and vendor in ("AuthenticAMD", "GenuineIntel"):
        advice = "torch uses no vector instructions: unset ATEN_CPU_CAPABILITY if it is set, else use a CPU with AVX2"
        return Check("BLAS", "warn", found, advice)
    if blas == "mkl" and vendor == "AuthenticAMD" and has_avx512:
        advice = (
            "MKL uses half of the vector width of an AMD CPU with AVX-512: expect up to half of its speed "
            "in large products; a torch built with another BLAS may be faster"
        )
        return Check("BLAS", "warn", found, advice)
    return Check("BLAS", "ok", found)


def judge_disk(free: int, place: Path) -> Check:
    """Judge the free space, in bytes, on the disk that holds `place`."""
    found = f"{free / GIB:.1f} GiB free at {place}"
    if free >= DISK_WARN:
        return Check("disk", "ok", found)
    status: Status = "warn" if free >= DISK_FAIL else "fail"
    return Check("disk", status, found, "free some space, or put the store on another disk with --store")


def measure_gflops(size: int = 512, seconds: float = 0.2) -> float:
    """Measure a float32 product of two square matrices in one thread: 10^9 operations a second, best of several.

    Args:
        size: rows and columns.
        seconds: how long to measure.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        left, right = torch.ones(size, size), torch.ones(size, size)
        product = left @ right  # the first product sets the library up
        shortest = float("inf")
        end = time.perf_counter() + seconds
        while True:
            start = time.perf_counter()
            torch.mm(left, right, out=product)
            now = time.perf_counter()
            shortest = min(shortest, now - start)
            if now >= end:
                return 2 * size**3 / shortest / 1e9
    finally:
        torch.set_num_threads(threads)


def _check_gpus() -> Check:
    import torch

    with warnings.catch_warnings(record=True) as caught:  # torch warns of an unfit driver, and goes on without
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if available:
        devices = (torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count()))
        return Check("GPU", "ok", "; ".join(f"{gpu.name}, {gpu.total_memory / GIB:.0f} GiB" for gpu in devices))
    complaint = "; ".join(" ".join(str(warning.message).split()) for warning in caught)
    if complaint:
        advice = "update the driver, or install a torch that fits it"
        return Check("GPU", "warn", f"none that torch can use: {complaint}", advice)
    if Path("/proc/driver/nvidia/version").exists() and torch.version.cuda is None:
        found = "none that torch can use: the machine has an NVIDIA driver, but this torch is built without CUDA"
        return Check("GPU", "warn", found, "install a torch with CUDA")
    return Check("GPU", "ok", "none: the CPU engine is used")


def _check_data(folder: Path | None) -> Check:
    from lth.data.mnist import SOURCES, locate

    variable = os.environ.get("LTH_DATA_DIR")
    found = ["digits is built in"]
    advice = []
    for label, place in (("--data", folder), ("LTH_DATA_DIR", Path(variable) if variable else None)):
        if place is not None and not place.expanduser().is_dir():
            found.append(f"{label} names {place}, which is no folder")
            advice.append(f"create {place}, or name another folder")
    for name in SOURCES:
        try:
            place = locate(name, folder)
        except ValueError as error:
            found.append(f"{name} is not usable")
            advice.append(str(error))
        else:
            found.append(f"{name} in {place}" if place else f"{name} not here yet, downloaded at first use")
    return Check("data", "warn" if advice else "ok", "; ".join(found), "; ".join(advice))


def _check_store(store: Path) -> Check:
    place = _nearest(store)
    if not place.is_dir():
        return Check("store", "fail", f"{place} is a file, not a folder", "name another folder with --store")
    try:
        # Written, not asked for: permissions do not tell of full quotas and read-only mounts.
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"lth")
            file.flush()
    except OSError as error:
        advice = "name a folder that you can write to with --store"
        return Check("store", "fail", f"cannot write to {place}: {error.strerror}", advice)
    state = "can be written to" if store.expanduser().exists() else "does not exist yet, can be created"
    return Check("store", "ok", f"{store} {state}")


def _nearest(path: Path) -> Path:
    """Return the path itself where it exists, else the nearest folder above that does."""
    path = path.expanduser()
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def _cores() -> tuple[int, int]:
    """Return the numbers of CPUs and of physical cores that this process may use; a container's share counts."""
    own = getattr(os, "sched_getaffinity", None)  # Linux only
    cpus = sorted(own(0)) if own else list(range(os.cpu_count() or 1))
    usable, physical = len(cpus), len(set(_siblings(cpus)))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        share = usable if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError):
        share = usable
    return min(usable, share), min(physical, share)


def _siblings(cpus: list[int]) -> Iterator[str]:
    for cpu in cpus:
        try:
            yield Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
        except OSError:
            yield str(cpu)


def _print_table(checks: list[Check]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colours: dict[Status, str] = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    table = Table("", "check", "found")
    for check in checks:
        found = Text(check.found)
        if check.advice:
            found.append(f"\n-> {check.advice}", style=colours[check.status])
        table.add_row(Text(check.status, style=colours[check.status]), check.name, found)
    Console().print(table)
