"""Processes that train one network together, as `torchrun` and `srun` start them."""

import datetime
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")

TIMEOUT = datetime.timedelta(days=2)
"""How long ranks wait for the first one while it does what it does alone."""

FIRST_PORT, NUM_PORTS = 20_000, 20_000
"""Where ranks that Slurm started meet: the port follows from the numbers of job and step."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those that train together. Each calls the same methods in the same order.

    Attributes:
        rank: its number; the first one, 0, writes what is kept.
        size: how many there are.
        local_rank: its number on its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def part(self, values: Tensor, dim: int = 0) -> Tensor:
        """Return this rank's part of a tensor: parts are as even as can be and follow one another."""
        return values if self.size == 1 else values.tensor_split(self.size, dim)[self.rank]

    def broadcast(self, value: T) -> T:
        """Return what the first rank says."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def all_gather(self, value: T) -> list[T]:
        """Return what each rank says, in order."""
        if self.size == 1:
            return [value]
        boxes: list[Any] = [None] * self.size
        dist.all_gather_object(boxes, value)
        return boxes

    def all_reduce(self, tensors: Sequence[Tensor]) -> None:
        """Put the sum over all ranks in place of each tensor; returns when all are there."""
        for reduction in [self.start_all_reduce(tensor) for tensor in tensors]:
            reduction.wait()

    def start_all_reduce(self, tensor: Tensor) -> "Reduction":
        """Begin to put the sum over all ranks in place of a tensor."""
        return Reduction(None if self.size == 1 else dist.all_reduce(tensor, async_op=True))

    def barrier(self) -> None:
        """Return when every rank has come here."""
        if self.size > 1:
            dist.barrier()


@dataclass(frozen=True, slots=True)
class Reduction:
    """A sum over ranks on its way."""

    _work: Any

    def wait(self) -> None:
        """Return when it is there."""
        if self._work is not None:
            self._work.wait()


ALONE = Ranks()


def ranks_of(environment: Mapping[str, str]) -> Ranks:
    """Return which process of how many this is, by the variables that `torchrun` or a step of `srun` sets."""
    if "RANK" in environment and "WORLD_SIZE" in environment:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    elif "SLURM_STEP_NUM_TASKS" in environment and "SLURM_PROCID" in environment:  # a batch script is in no step
        names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")
    else:
        return ALONE
    rank, size, local_rank = (int(environment.get(name, 0)) for name in names)
    return Ranks(rank, size, local_rank)


def join(device: str) -> Ranks:
    """Meet the other processes that were started with this one; alone where there are none.

    Args:
        device: `cpu`, or `cuda`: each process then computes on the device of its local rank.
    Raises:
        ValueError: if Slurm does not say where to meet, or they cannot meet there.
    """
    ranks = ranks_of(os.environ)
    if ranks.size == 1 or dist.is_initialized():
        return ranks
    if "MASTER_ADDR" not in os.environ:
        os.environ["MASTER_ADDR"] = _first_host(os.environ)
    step = sum(int(os.environ.get(name, 0)) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    os.environ.setdefault("MASTER_PORT", str(FIRST_PORT + step % NUM_PORTS))
    if device != "cpu":
        torch.cuda.set_device(ranks.local_rank % torch.cuda.device_count())  # each may see one device alone
    backend = "gloo" if device == "cpu" else "nccl"
    try:
        dist.init_process_group(backend, rank=ranks.rank, world_size=ranks.size, timeout=TIMEOUT)
    except dist.DistError as error:
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        said = str(error).splitlines()[0]
        raise ValueError(
            f"the processes that train together cannot meet at {place} ({said}): set MASTER_ADDR and MASTER_PORT to a "
            "name of the first node and a port that is free there"
        ) from error
    return ranks


def _first_host(environment: Mapping[str, str]) -> str:
    names = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST", "")
    if "[" not in names:
        return names.split(",")[0] or "127.0.0.1"
    try:
        shown = subprocess.run(["scontrol", "show", "hostnames", names], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ValueError(
            f"the nodes {names!r} cannot be told apart (scontrol: {error}): set MASTER_ADDR to the first one's name"
        ) from error
    return shown.stdout.split()[0]
