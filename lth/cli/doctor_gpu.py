"""The doctor's look at GPUs: which there are, whether driver and torch fit them, and whether they work."""

import os
import re
import subprocess
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lth.cli.doctor_engines import Judgement

GIB = 2**30
DRIVER_FILE = Path("/proc/driver/nvidia/version")
LEAST_DRIVER = {11: 450, 12: 525, 13: 580}
"""CUDA's major version -> the oldest branch of the driver that runs all its minor ones (NVIDIA's table)."""

PATIENCE = 120.0
"""Seconds that an all-reduce may take, the start of its processes included."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A device: its name, bytes of memory, and capability as (major, minor)."""

    name: str
    memory: int
    capability: tuple[int, int]


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """What is known of a machine's GPUs.

    Attributes:
        built: what torch is built with, such as "CUDA 12.8"; empty without.
        architectures: what torch's kernels are compiled for, as `torch.cuda.get_arch_list` says.
        driver: NVIDIA's version, such as "550.54.15"; None where there is none.
        nccl: its version; None where torch has none.
        devices: those that torch can use.
        complaints: what torch says of those that it cannot.
        visible: the environment variable CUDA_VISIBLE_DEVICES.
    """

    built: str
    architectures: tuple[str, ...] = ()
    driver: str | None = None
    nccl: str | None = None
    devices: tuple[Gpu, ...] = ()
    complaints: tuple[str, ...] = ()
    visible: str | None = None


def gpu_facts() -> GpuFacts:
    """Look at this machine."""
    import torch

    with warnings.catch_warnings(record=True) as caught:  # torch warns of an unfit driver, and goes on without
        warnings.simplefilter("always")
        is_available = torch.cuda.is_available()
        indices = range(torch.cuda.device_count()) if is_available else ()
        devices = [torch.cuda.get_device_properties(index) for index in indices]
    has_nccl = torch.distributed.is_available() and torch.distributed.is_nccl_available()
    nccl = torch.cuda.nccl.version() if has_nccl else None  # type: ignore[no-untyped-call]
    version = torch.version.cuda or torch.version.hip
    return GpuFacts(
        built=f"{'CUDA' if torch.version.cuda else 'ROCm'} {version}" if version else "",
        architectures=tuple(torch.cuda.get_arch_list()) if is_available else (),
        driver=find_driver(),
        nccl=None if nccl is None else ".".join(map(str, nccl)),
        devices=tuple(Gpu(each.name, each.total_memory, (each.major, each.minor)) for each in devices),
        complaints=tuple(" ".join(str(warning.message).split()) for warning in caught) if not is_available else (),
        visible=os.environ.get("CUDA_VISIBLE_DEVICES"),
    )


def find_driver() -> str | None:
    """Return the version of NVIDIA's driver, by the kernel or by nvidia-smi; None without one."""
    try:
        return read_driver(DRIVER_FILE.read_text())
    except OSError:
        pass
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return read_driver(subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout)
    except (OSError, subprocess.SubprocessError):
        return None


def read_driver(text: str) -> str | None:
    """Return the driver's version in what the kernel or nvidia-smi says of it."""
    found = re.search(r"\b\d{3,}\.\d+(?:\.\d+)?\b", text)
    return found.group() if found else None


def judge_gpus(facts: GpuFacts, *, required: bool = False) -> Judgement:
    """Judge what is known of the GPUs: without one "ok", where nothing hints at one; "fail" if one is required."""
    if not facts.devices:
        reason, advice = _why_none(facts)
        if required:
            return "fail", f"none that torch can use: {reason}", advice or "run this where a GPU is, or leave --device"
        if not advice:
            return "ok", f"none: the CPU engines are used ({reason})", ""
        return "warn", f"none that torch can use: {reason}", advice
    versions = (facts.built, facts.driver and f"driver {facts.driver}", facts.nccl and f"NCCL {facts.nccl}")
    groups = Counter(facts.devices).items()
    names = (f"{f'{count} x ' if count > 1 else ''}{_device_words(gpu)}" for gpu, count in groups)
    found = f"{'; '.join(names)}; {', '.join(each for each in versions if each)}"
    advice = "; ".join(_doubts(facts))
    return "warn" if advice else "ok", found, advice


def _device_words(gpu: Gpu) -> str:
    return f"{gpu.name}, {gpu.memory / GIB:.0f} GiB, capability {'.'.join(map(str, gpu.capability))}"


def _why_none(facts: GpuFacts) -> tuple[str, str]:
    """Return why torch uses no GPU, and what to do about it; nothing where nothing hints at one."""
    if not facts.built:
        if facts.driver is None:
            return "this torch is built without CUDA", ""
        advice = "install a torch with CUDA, as pytorch.org says"
        return f"driver {facts.driver} is here, but this torch is built without CUDA", advice
    need = _least_driver(facts.built)
    if facts.driver is not None and int(facts.driver.split(".")[0]) < need:
        reason = f"driver {facts.driver} is too old for {facts.built}, which this torch is built with"
        help_ = "update the driver, or install a torch that is built with an older CUDA"
        return f"{reason}: {need} or newer runs it", help_
    if facts.driver is not None and facts.visible in ("", "-1", "NoDevFiles"):
        return f"CUDA_VISIBLE_DEVICES={facts.visible!r} hides all of them", "unset it, or ask the scheduler for a GPU"
    if facts.complaints:
        return "; ".join(facts.complaints), "update the driver, or install a torch that fits it"
    if facts.driver is None:
        return f"torch is built with {facts.built}, and no NVIDIA driver is here", ""
    reason = f"driver {facts.driver} is here, and {facts.built} of torch, but no device shows"
    return reason, "ask the scheduler for a GPU, or let the container see it (--nv, --gpus all); see nvidia-smi -L"


def _least_driver(built: str) -> int:
    major = re.match(r"CUDA (\d+)", built)
    return LEAST_DRIVER.get(int(major.group(1)), 0) if major else 0


def _doubts(facts: GpuFacts) -> list[str]:
    """Return what may not work with the devices that are here, with advice."""
    doubts = [
        f"this torch has no kernels for {gpu.name} (it has {', '.join(facts.architectures)}): install one that has"
        for gpu in dict.fromkeys(facts.devices)
        if not runs_on(facts.architectures, gpu.capability)
    ]
    if len(facts.devices) > 1 and facts.nccl is None:
        doubts.append("this torch has no NCCL, which one training over several GPUs needs: install one that has")
    return doubts


def runs_on(architectures: Sequence[str], capability: tuple[int, int]) -> bool:
    """Return whether kernels for these architectures run on a device.

    Compiled code (`sm_80`) runs on devices of the same major version and no smaller minor one, with the suffix `a` on
    that one alone; PTX (`compute_80`) is compiled for any newer one. Other names (of ROCm) are not judged.
    """
    if not any(re.match(r"(sm|compute)_\d", each) for each in architectures):
        return True
    for kind, digits, suffix in re.findall(r"\b(sm|compute)_(\d+)([af]?)\b", " ".join(architectures)):
        major, minor = int(digits[:-1]), int(digits[-1])
        if (major, minor) == capability:
            return True
        is_newer = (major, minor) < capability and (kind == "compute" or major == capability[0])
        if is_newer and suffix != "a":
            return True
    return False


def run_products(devices: Sequence[str], size: int = 512) -> Judgement:
    """Compute a matrix product of whole numbers on each device, which must be exact."""
    import torch

    left = torch.arange(size * size, dtype=torch.float32).reshape(size, size) % 7
    right = left.T.contiguous() % 5
    wanted, failed = left.double() @ right.double(), []
    for device in devices:
        try:
            product = (left.to(device) @ right.to(device)).cpu().double()
            failed += [] if torch.equal(product, wanted) else [f"{device}: a matrix product is wrong"]
        except (RuntimeError, AssertionError) as error:  # of the driver, or of a torch without CUDA
            failed.append(f"{device}: {str(error).splitlines()[0]}")
    if failed:
        return "fail", "; ".join(failed), "see nvidia-smi, and the log of the machine (dmesg) for Xid errors"
    return "ok", f"matrix products are exact on {', '.join(devices)}", ""


def run_all_reduce(devices: Sequence[str], backend: str, patience: float = PATIENCE) -> Judgement:
    """Sum a number over one process for each device, which form one group."""
    from torch.multiprocessing.spawn import spawn

    words = f"all-reduce by {backend.upper()} over {len(devices)} devices"
    advice = "NCCL_DEBUG=INFO shows where it stops; NCCL_P2P_DISABLE=1 or NCCL_SOCKET_IFNAME may help"
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="lth-doctor-") as folder:
        arguments = (tuple(devices), backend, f"file://{folder}/meeting", patience)
        context = spawn(_all_reduce, arguments, nprocs=len(devices), join=False)  # type: ignore[no-untyped-call]
        try:
            while not context.join(timeout=1.0):
                if time.perf_counter() - began > patience:
                    return "fail", f"{words} does not end within {patience:.0f} s", advice
        except Exception as error:  # that of a process, as text
            last = [line for line in str(error).splitlines() if line.strip()][-1]
            return "fail", f"{words}: {last}", advice
        finally:
            for process in context.processes:
                process.kill()
    return "ok", f"{words} gives the sum", ""


def _all_reduce(rank: int, devices: Sequence[str], backend: str, meeting: str, patience: float) -> None:
    """Add this process's number to those of the others."""
    import datetime

    import torch
    import torch.distributed as dist

    device = torch.device(devices[rank])
    if device.type == "cuda":
        torch.cuda.set_device(device)
    timeout = datetime.timedelta(seconds=patience)
    dist.init_process_group(backend, init_method=meeting, rank=rank, world_size=len(devices), timeout=timeout)
    value = torch.full((1024,), float(rank + 1), device=device)
    dist.all_reduce(value)
    total = len(devices) * (len(devices) + 1) / 2
    if not torch.equal(value.cpu(), torch.full((1024,), total)):
        raise ValueError(f"the sum is {value[0].item()}, not {total}")
    dist.destroy_process_group()
