"""What a cluster's scheduler must do for a launch, and what all of them share."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined

from lth.config.profile import Profile
from lth.launch.cluster.launches import Launch

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


class Scheduler(Protocol):
    """How a launch becomes jobs: an array of parts, and a job after it that ends all."""

    def most_parts(self) -> int | None:
        """Return how many elements an array may have here; None where that is not known."""

    def scripts(self, launch: Launch) -> dict[str, str]:
        """Return the scripts of the array (`parts.sh`) and of the job that ends all (`end.sh`), by file name."""

    def submit(self, launch: Launch) -> dict[str, str]:
        """Submit the scripts; return the jobs' numbers by `parts` and `end`.

        Raises:
            SchedulerError: if the scheduler refuses.
        """

    def states(self, jobs: Mapping[str, str]) -> dict[int | None, State]:
        """Return what the scheduler knows of each part, by number from 1, and of the job that ends all, by None."""

    def cancel(self, jobs: Mapping[str, str]) -> None:
        """Take jobs back, running ones too."""

    def check(self, profile: Profile, place: Path) -> str:
        """Return the script of a job that examines the machine that a profile gives, GPUs first."""


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


def rendered(template: str, **values: Any) -> str:
    """Return a script made from a template of this folder."""
    return _templates().get_template(template).render(**values)


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


def command_of(profile: Profile) -> str:
    """Return how `lth` is called on a node, behind a profile's container."""
    command = profile.command or f"{shlex.quote(sys.executable)} -m lth"
    return f"{profile.container} {command}" if profile.container else command
