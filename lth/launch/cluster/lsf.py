"""LSF: `bsub` with a job array, `bjobs`, `bkill`.

Tested with commands that stand in for LSF's and scripts that bash runs: no LSF was at hand.
"""

import re
from pathlib import Path

from lth.config.profile import Profile
from lth.launch.cluster.scheduler import ClusterJob, SchedulerError, State, called, rendered

NUMBER = re.compile(r"Job <(\d+)>")
OVER = ("DONE", "EXIT")


class Lsf:
    """IBM Spectrum LSF 10.1 or later."""

    index, element, job = "$LSB_JOBINDEX", "%I", "%J"

    def most_parts(self) -> int | None:
        return None

    def script(self, profile: Profile, place: Path, job: ClusterJob) -> str:
        if profile.nodes > 1:
            raise SchedulerError(
                f"nodes: {profile.nodes}: processes on several hosts are started by srun, under Slurm; with LSF take "
                "nodes: 1"
            )
        limit = f"%{profile.concurrent}" if profile.concurrent else ""
        minutes = -(-profile.seconds // 60)
        return rendered(
            "lsf.sh.j2",
            profile,
            place,
            job,
            array="" if job.elements is None else f"[1-{job.elements}]{limit}",
            cores=profile.cpus * (1 if job.elements is None else profile.ranks),
            time=f"{minutes // 60:02d}:{minutes % 60:02d}",
            minutes_before=-(-profile.save_before // 60),
        )

    def submit(self, script: Path, after: str | None = None) -> str:
        waits = [] if after is None else ["-w", f"ended({after})"]
        said = called(["bsub", *waits], stdin=script)  # it reads options in a script from its input alone
        if (number := NUMBER.search(said)) is None:
            raise SchedulerError(f"bsub did not tell the job's number: {' '.join(said.split())}")
        return number[1]

    def states(self, number: str) -> dict[int, State]:
        try:
            lines = called(["bjobs", "-noheader", "-o", "jobindex stat delimiter='|'", number]).splitlines()
        except SchedulerError as error:
            if "not found" in str(error):
                return {}
            raise
        rows = [line.strip().split("|", 1) for line in lines if "|" in line]
        return {int(element): State(word) for element, word in rows if element.isdigit() and word not in OVER}

    def cancel(self, number: str) -> None:
        called(["bkill", number])
