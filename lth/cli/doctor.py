"""`lth doctor`: what this machine offers, what is wrong with it, and what to do about that."""

import importlib
import json
import os
import shutil
import sys
import tempfile
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from lth.cli.options import Flag

MIN_TORCH = (2, 8)
GIB = 2**30
DISK_WARN, DISK_FAIL = 2 * GIB, 200 * 2**20

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


def doctor(
    *,
    store: Path = Path("lth-store"),
    data: Path | None = None,
    device: Literal["cuda"] | None = None,
    json_: Flag = False,
) -> int:
    """Examine this machine: Python, torch, cores, speed, engines, GPUs, data, store and disk. Exit 1 if a check fails.

        lth doctor
        lth doctor --device cuda    # a job's first line: exit 1 unless GPUs are there and work

    Args:
        store: folder of results; it is looked at, not created.
        data: folder of data sets. Default: the environment variable LTH_DATA_DIR, then the user's cache.
        device: cuda, if a GPU must be there: each computes a product, and several of them a sum over NCCL.
        json_: print one JSON object in place of the lines.
    """
    checks = examine(store, data, device)
    is_healthy = all(check.status != "fail" for check in checks)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    if json_:
        print(json.dumps({"healthy": is_healthy, "checks": [asdict(check) for check in checks]}, indent=2))
    for check in () if json_ else checks:
        lines = [f"{check.status:<5} {check.name:<8} {check.found}"]
        lines += [f"{'':<15}-> {check.advice}"] if check.advice else []
        for line in lines:
            print(textwrap.fill(line, width, subsequent_indent=" " * 15, break_on_hyphens=False))
    return 0 if is_healthy else 1


def examine(store: Path, data_folder: Path | None, device: str | None = None) -> list[Check]:
    """Make all checks, in the order in which they are printed; takes about a second after importing torch.

    Args:
        store: folder of results; not created.
        data_folder: folder of data sets; None stands for LTH_DATA_DIR, then the user's cache.
        device: "cuda" where GPUs must be there and work, which takes some seconds more.
    """
    checks = [Check("Python", "ok", ".".join(map(str, sys.version_info[:3])))]
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError) as error:  # OSError: a shared library that does not load
        advice = "install PyTorch as described at pytorch.org, into the environment of this Python"
        checks.append(Check("torch", "fail", f"cannot be imported: {error}", advice))
    else:
        from joblib import cpu_count

        from lth.cli.doctor_engines import check_blas, check_linear, check_sparse

        cpus = cpu_count(), cpu_count(only_physical_cores=True)  # a container's share counts
        threads = judge_threads(torch.get_num_threads(), *cpus, os.environ.get("OMP_NUM_THREADS"))
        checks += [judge_torch(torch.__version__), threads]
        checks += [Check("BLAS", *check_blas()), Check("Linear", *check_linear()), Check("sparse", *check_sparse())]
        checks += [*_check_gpus(device), _check_data(data_folder)]
    return [*checks, _check_store(store), judge_disk(shutil.disk_usage(_nearest(store)).free, _nearest(store))]


def judge_torch(version: str) -> Check:
    """Judge torch's version, such as "2.13.0+cpu"."""
    release = tuple(int(part) for part in version.split("+")[0].split(".")[:2])
    if release >= MIN_TORCH:
        return Check("torch", "ok", version)
    return Check("torch", "fail", version, "lth needs torch {}.{} or later: upgrade it".format(*MIN_TORCH))


def judge_threads(threads: int, usable: int, physical: int, omp_num_threads: str | None) -> Check:
    """Judge torch's threads by the CPUs that this process may use, and the physical cores among them."""
    setting = "is not set" if omp_num_threads is None else f"is {omp_num_threads}"
    found = f"torch uses {threads} of {usable} CPUs ({physical} physical cores); OMP_NUM_THREADS {setting}"
    if threads <= usable:
        return Check("threads", "ok", found)
    advice = f"more threads than CPUs wait for one another: set OMP_NUM_THREADS={physical}, or ask for more CPUs"
    return Check("threads", "warn", found, advice)


def judge_disk(free: int, place: Path) -> Check:
    """Judge the free space, in bytes, on the disk that holds `place`."""
    status: Status = "ok" if free >= DISK_WARN else "warn" if free >= DISK_FAIL else "fail"
    advice = "" if status == "ok" else "free some space, or put the store on another disk with --store"
    return Check("disk", status, f"{free / GIB:.1f} GiB free at {place}", advice)


def _check_gpus(device: str | None) -> list[Check]:
    """Look at GPUs; with a device, also let each of them work, and all of them together."""
    from lth.cli.doctor_gpu import gpu_facts, judge_gpus, run_all_reduce, run_products

    facts = gpu_facts()
    checks = [Check("GPU", *judge_gpus(facts, required=device is not None))]
    names = [f"cuda:{index}" for index in range(len(facts.devices))]
    if device is not None and names:
        checks.append(Check("product", *run_products(names)))
    if device is not None and len(names) > 1 and facts.nccl is not None:
        checks.append(Check("NCCL", *run_all_reduce(names, "nccl")))
    return checks


def _check_data(folder: Path | None) -> Check:
    from lth.data.catalogue import NOT_HERE, catalogue

    found, advice = [], []
    variable = os.environ.get("LTH_DATA_DIR")
    for label, place in (("--data", folder), ("LTH_DATA_DIR", Path(variable) if variable else None)):
        if place is not None and not place.expanduser().is_dir():
            found.append(f"{label} names {place}, which is no folder")
            advice.append(f"create {place}, or name another folder")
    for each in catalogue(folder):
        if "study" not in each.use:
            continue
        if not each.is_usable:
            found.append(f"{each.name} is not usable")
            advice.append(each.where)
        else:
            found.append(
                f"{each.name}: {'not here yet, downloaded at first use' if each.where == NOT_HERE else each.where}"
            )
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
