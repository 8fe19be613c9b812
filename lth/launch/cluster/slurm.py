"""Slurm: `sbatch --array`, `squeue`, `scancel`. Tested on a running Slurm."""

import re
from pathlib import Path

from lth.config.profile import Profile
from lth.launch.cluster.scheduler import ClusterJob, SchedulerError, State, called, rendered


class Slurm:
    """Slurm 22.05 or later."""

    index, element, job = "$SLURM_ARRAY_TASK_ID", "%a", "%j"

    def most_parts(self) -> int | None:
        try:
            found = re.search(r"^MaxArraySize\s*=\s*(\d+)", called(["scontrol", "show", "config"]), re.MULTILINE)
        except SchedulerError:
            return None
        return int(found[1]) - 1 if found else None

    def script(self, profile: Profile, place: Path, job: ClusterJob) -> str:
        if "%" in str(job.log.parent):
            raise SchedulerError(f"{job.log.parent}: Slurm reads % in a log's name as a pattern: name another folder")
        limit = f"%{profile.concurrent}" if profile.concurrent else ""
        minutes, seconds = divmod(profile.seconds, 60)
        return rendered(
            "slurm.sh.j2",
            profile,
            place,
            job,
            array="" if job.elements is None else f"1-{job.elements}{limit}",
            nodes=1 if job.elements is None else profile.nodes,
            time=f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}",
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
