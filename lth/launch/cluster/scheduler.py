"""What a cluster's scheduler must do for a launch, and what all of them share."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined

from lth.config.profile import Profile

TIMEOUT_SECONDS = 60
OF_ALLOCATIONS = ("SLURM_", "SBATCH_", "SRUN_", "LSB_", "PMI_", "RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_")
OF_CLUSTER = ("SLURM_CONF", "SLURM_CLUSTERS")


class SchedulerError(ValueError):
    """A command of the scheduler is missing or failed; the message says what it said."""


@dataclass(frozen=True, slots=True)
class State:
    """What the scheduler says of an element: its word (RUNNING, PEND) and why, where it tells."""

    word: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ClusterJob:
    """A job that runs `lth` with some arguments.

    Attributes:
        name: of the job.
        log: its file; those of an array hold the scheduler's `element`.
        arguments: of `lth`, as a shell reads them.
        elements: how many elements an array has; None for a job by itself, of one process.
        is_end: whether it only writes results: without GPUs, in the profile's `results_partition`.
    """

    name: str
    log: Path
    arguments: str
    elements: int | None = None
    is_end: bool = False


class Scheduler(Protocol):
    """How scripts become jobs.

    Attributes:
        index: in a script, the number of an element of the array.
        element: in the name of a log, the same.
        job: in the name of a log, the number of the job.
    """

    index: str
    element: str
    job: str

    def most_parts(self) -> int | None:
        """Return how many elements an array may have here; None where that is not known."""

    def script(self, profile: Profile, place: Path, job: ClusterJob) -> str:
        """Return the script of a job.

        Args:
            profile: what to ask for.
            place: the folder to run in.
            job: what it runs.
        Raises:
            SchedulerError: if the profile asks for what is not to be had.
        """

    def submit(self, script: Path, after: str | None = None) -> str:
        """Submit a script; return the job's number.

        Args:
            script: its file.
            after: the job whose end, good or bad, this one waits for.
        Raises:
            SchedulerError: if the scheduler refuses.
        """

    def states(self, number: str) -> dict[int, State]:
        """Return what is known of each element of an array that is not over, or has ended lately; 0 is a job's own."""

    def cancel(self, number: str) -> None:
        """Take a job back, with all its elements."""


def called(command: Sequence[str], *, stdin: Path | None = None) -> str:
    """Return what a command of a scheduler prints.

    Raises:
        SchedulerError: if it is not there, fails, or takes more than a minute.
    """
    text = "" if stdin is None else stdin.read_text()
    # Given inside an allocation, its variables would be taken for the new job's.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OF_ALLOCATIONS)}
    kept |= {name: os.environ[name] for name in OF_CLUSTER if name in os.environ}
    try:
        done = subprocess.run(command, input=text, env=kept, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except FileNotFoundError as error:
        raise SchedulerError(f"{command[0]} is not here: submit from a node that has it") from error
    except subprocess.TimeoutExpired as error:
        raise SchedulerError(f"{command[0]} did not answer within {TIMEOUT_SECONDS} s") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
        raise SchedulerError(f"{command[0]} refused: {said}")
    return done.stdout


def rendered(template: str, profile: Profile, place: Path, job: ClusterJob, **values: Any) -> str:
    """Return a script made from a template of this folder: what all schedulers' scripts say, and further values."""
    command = profile.command or f"{shlex.quote(sys.executable)} -m lth"
    said = f"{command} {job.arguments}"
    return (
        _templates()
        .get_template(template)
        .render(
            profile=profile,
            name=job.name,
            log=job.log,
            partition=(profile.results_partition if job.is_end else None) or profile.partition,
            place=shlex.quote(str(place)),
            env_file=shlex.quote(str(profile.env_file and place / profile.env_file.expanduser())),
            ranks=1 if job.elements is None else profile.ranks,
            gpus=0 if job.is_end else profile.gpus,
            command=f"{profile.container} {said}" if profile.container else said,
            **values,
        )
    )


@cache
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("lth.launch.cluster"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["quoted"] = shlex.quote
    return made
