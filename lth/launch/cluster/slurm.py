"""Slurm: `sbatch --array`, a last job after it, `squeue`, `scancel`. Tested on a running Slurm."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from lth.config.profile import Profile
from lth.launch.cluster.launches import Launch
from lth.launch.cluster.scheduler import SchedulerError, State, called, command_of, rendered


class Slurm:
    """Slurm 22.05 or later."""

    def most_parts(self) -> int | None:
        try:
            found = re.search(r"^MaxArraySize\s*=\s*(\d+)", called(["scontrol", "show", "config"]), re.MULTILINE)
        except SchedulerError:
            return None
        return int(found[1]) - 1 if found else None

    def scripts(self, launch: Launch) -> dict[str, str]:
        profile, manifest = launch.profile, shlex.quote(str(launch.manifest))
        limit = f"%{profile.concurrent}" if profile.concurrent else ""
        parts = _script(
            profile,
            launch.place,
            name=f"lth-{launch.id}",
            array=f"1-{len(launch.parts)}{limit}",
            log=launch.log(None).with_name("part-%a.log"),
            arguments=f'run {manifest} --part "$SLURM_ARRAY_TASK_ID"',
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
        parts = _submitted([str(launch.folder / "parts.sh")])
        try:
            end = _submitted([f"--dependency=afterany:{parts}", str(launch.folder / "end.sh")])
        except SchedulerError:
            self.cancel({"parts": parts})
            raise
        return {"parts": parts, "end": end}

    def states(self, jobs: Mapping[str, str]) -> dict[int | None, State]:
        numbers = ",".join(jobs.values())
        try:
            lines = called(["squeue", "--noheader", "--array", "--jobs", numbers, "--format=%F|%K|%T|%r"])
        except SchedulerError as error:
            if "Invalid job id" in str(error):  # it forgets jobs some minutes after their end
                return {}
            raise
        states: dict[int | None, State] = {}
        for line in lines.splitlines():
            number, element, word, reason = line.strip().split("|", 3)
            if number == jobs.get("end"):
                states[None] = State(word, _why(reason))
            elif element.isdigit():
                states[int(element)] = State(word, _why(reason))
        return states

    def cancel(self, jobs: Mapping[str, str]) -> None:
        for role in ("end", "parts"):  # the last first: it waits for nothing but the array's end
            if role in jobs:
                called(["scancel", jobs[role]])

    def check(self, profile: Profile, place: Path) -> str:
        device = " --device cuda" if profile.gpus else ""
        return _script(profile, place, name="lth-doctor", log=place / "lth-doctor-%j.log", arguments=f"doctor{device}")


def _script(profile: Profile, place: Path, *, name: str, log: Path, arguments: str, array: str = "") -> str:
    if "%" in str(log.parent):
        raise SchedulerError(f"{log.parent}: Slurm reads % in the name of a log as a pattern: take another --store")
    alone = not array
    nodes, ranks = (1, 1) if alone else (profile.nodes, profile.ranks)
    gpus = 0 if name.endswith("-end") else profile.gpus
    seconds = profile.seconds
    return rendered(
        "slurm.sh.j2",
        profile=profile,
        place=shlex.quote(str(place)),
        env_file=shlex.quote(str(profile.env_file and place / profile.env_file.expanduser())),
        name=name,
        array=array,
        nodes=nodes,
        ranks=ranks,
        gpus=gpus,
        time=f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}",
        log=log,
        command=f"{command_of(profile)} {arguments}",
    )


def _submitted(arguments: list[str]) -> str:
    """Return the number of a job."""
    return called(["sbatch", "--parsable", *arguments]).strip().split(";")[0]


def _why(reason: str) -> str:
    return "" if reason in ("None", "") else reason
