"""LSF: `bsub` with a job array, a last job after it, `bjobs`, `bkill`.

Tested with scripts that are read by eye and commands that stand in for LSF's: no LSF was at hand.
"""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from lth.config.profile import Profile
from lth.launch.cluster.launches import Launch
from lth.launch.cluster.scheduler import SchedulerError, State, called, command_of, rendered

NUMBER = re.compile(r"Job <(\d+)>")


class Lsf:
    """IBM Spectrum LSF 10.1 or later."""

    def most_parts(self) -> int | None:
        return None

    def scripts(self, launch: Launch) -> dict[str, str]:
        profile, manifest = launch.profile, shlex.quote(str(launch.manifest))
        limit = f"%{profile.concurrent}" if profile.concurrent else ""
        parts = _script(
            profile,
            launch.place,
            name=f"lth-{launch.id}",
            array=f"[1-{len(launch.parts)}]{limit}",
            log=launch.log(None).with_name("part-%I.log"),
            arguments=f'run {manifest} --part "$LSB_JOBINDEX"',
        )
        end = _script(
            profile,
            launch.place,
            name=f"lth-{launch.id}-end",
            log=launch.log(None),
            arguments=f"run {manifest} --conclude",
        )
        return {"parts.sh": parts, "end.sh": end}

    def submit(self, launch: Launch) -> dict[str, str]:
        parts = _submitted(launch.folder / "parts.sh", [])
        try:
            end = _submitted(launch.folder / "end.sh", ["-w", f"ended({parts})"])
        except SchedulerError:
            self.cancel({"parts": parts})
            raise
        return {"parts": parts, "end": end}

    def states(self, jobs: Mapping[str, str]) -> dict[int | None, State]:
        states: dict[int | None, State] = {}
        for role, number in jobs.items():
            try:
                lines = called(["bjobs", "-a", "-noheader", "-o", "jobindex stat delimiter='|'", number])
            except SchedulerError as error:
                if "not found" in str(error):  # it forgets jobs an hour after their end, unless set otherwise
                    continue
                raise
            for line in lines.splitlines():
                element, _, word = line.strip().partition("|")
                if role == "end":
                    states[None] = State(word)
                elif element.isdigit():
                    states[int(element)] = State(word)
        return states

    def cancel(self, jobs: Mapping[str, str]) -> None:
        for role in ("end", "parts"):
            if role in jobs:
                called(["bkill", jobs[role]])

    def check(self, profile: Profile, place: Path) -> str:
        device = " --device cuda" if profile.gpus else ""
        return _script(profile, place, name="lth-doctor", log=place / "lth-doctor-%J.log", arguments=f"doctor{device}")


def _script(profile: Profile, place: Path, *, name: str, log: Path, arguments: str, array: str = "") -> str:
    if profile.nodes > 1:
        raise SchedulerError(
            "nodes: processes on several hosts are started by srun, under Slurm; with LSF take nodes: 1"
        )
    ranks = profile.ranks if array else 1
    minutes = -(-profile.seconds // 60)
    return rendered(
        "lsf.sh.j2",
        profile=profile,
        place=shlex.quote(str(place)),
        env_file=shlex.quote(str(profile.env_file and place / profile.env_file.expanduser())),
        name=name,
        array=array,
        ranks=ranks,
        cores=profile.cpus * ranks,
        gpus=0 if name.endswith("-end") else profile.gpus,
        time=f"{minutes // 60:02d}:{minutes % 60:02d}",
        minutes_before=-(-profile.save_before // 60),
        log=log,
        command=f"{command_of(profile)} {arguments}",
    )


def _submitted(script: Path, arguments: list[str]) -> str:
    """Return the number of a job: bsub reads its options in a script from its input alone."""
    said = called(["bsub", *arguments], stdin=script)
    if (number := NUMBER.search(said)) is None:
        raise SchedulerError(f"bsub did not tell the job's number: {' '.join(said.split())}")
    return number[1]
