"""Slurm: `sbatch --array`, `squeue`, `scancel`. Tested on a running Slurm."""

import re
import shlex
from pathlib import Path

from lth.config.profile import Profile
from lth.launch.cluster.scheduler import SchedulerError, State, called, command_of, rendered


class Slurm:
    """Slurm 22.05 or later."""

    index, element, job = "$SLURM_ARRAY_TASK_ID", "%a", "%j"

    def most_parts(self) -> int | None:
        try:
            found = re.search(r"^MaxArraySize\s*=\s*(\d+)", called(["scontrol", "show", "config"]), re.MULTILINE)
        except SchedulerError:
            return None
        return int(found[1]) - 1 if found else None

    def script(
        self, profile: Profile, place: Path, *, name: str, log: Path, arguments: str, elements: int | None = None
    ) -> str:
        if "%" in str(log.parent):
            raise SchedulerError(f"{log.parent}: Slurm reads % in the name of a log as a pattern: name another folder")
        is_end = elements is None and "--conclude" in arguments
        limit = f"%{profile.concurrent}" if profile.concurrent else ""
        minutes, seconds = divmod(profile.seconds, 60)
        return rendered(
            "slurm.sh.j2",
            profile=profile,
            partition=(profile.results_partition if is_end else None) or profile.partition,
            place=shlex.quote(str(place)),
            env_file=shlex.quote(str(profile.env_file and place / profile.env_file.expanduser())),
            name=name,
            array="" if elements is None else f"1-{elements}{limit}",
            nodes=1 if elements is None else profile.nodes,
            ranks=1 if elements is None else profile.ranks,
            gpus=0 if is_end else profile.gpus,
            time=f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}",
            log=log,
            command=f"{command_of(profile)} {arguments}",
        )

    def submit(self, script: Path, after: str | None = None) -> str:
        waits = [] if after is None else [f"--dependency=afterany:{after}"]
        return called(["sbatch", "--parsable", *waits, str(script)]).strip().split(";")[0]

    def states(self, number: str) -> dict[int, State]:
        try:
            lines = called(["squeue", "--noheader", "--array", "--jobs", number, "--format=%K|%T|%r"]).splitlines()
        except SchedulerError as error:
            if "Invalid job id" in str(error):  # it forgets jobs some minutes after their end
                return {}
            raise
        rows = [line.strip().split("|", 2) for line in lines]
        return {
            int(element) if element.isdigit() else 0: State(word, "" if reason == "None" else reason)
            for element, word, reason in rows
        }

    def cancel(self, number: str) -> None:
        called(["scancel", number])
