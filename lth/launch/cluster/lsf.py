"""LSF: `bsub` with a job array, `bjobs`, `bkill`.

Tested with commands that stand in for LSF's and scripts that bash runs: no LSF was at hand.
"""

import re
import shlex
from pathlib import Path

from lth.config.profile import Profile
from lth.launch.cluster.scheduler import SchedulerError, State, called, command_of, rendered

NUMBER = re.compile(r"Job <(\d+)>")
OVER = ("DONE", "EXIT")


class Lsf:
    """IBM Spectrum LSF 10.1 or later."""

    index, element, job = "$LSB_JOBINDEX", "%I", "%J"

    def most_parts(self) -> int | None:
        return None

    def script(
        self, profile: Profile, place: Path, *, name: str, log: Path, arguments: str, elements: int | None = None
    ) -> str:
        if profile.nodes > 1:
            raise SchedulerError(
                f"nodes: {profile.nodes}: processes on several hosts are started by srun, under Slurm; with LSF take "
                "nodes: 1"
            )
        is_end = elements is None and "--conclude" in arguments
        limit = f"%{profile.concurrent}" if profile.concurrent else ""
        ranks, minutes = (1 if elements is None else profile.ranks), -(-profile.seconds // 60)
        return rendered(
            "lsf.sh.j2",
            profile=profile,
            partition=(profile.results_partition if is_end else None) or profile.partition,
            place=shlex.quote(str(place)),
            env_file=shlex.quote(str(profile.env_file and place / profile.env_file.expanduser())),
            name=name,
            array="" if elements is None else f"[1-{elements}]{limit}",
            ranks=ranks,
            cores=profile.cpus * ranks,
            gpus=0 if is_end else profile.gpus,
            time=f"{minutes // 60:02d}:{minutes % 60:02d}",
            minutes_before=-(-profile.save_before // 60),
            log=log,
            command=f"{command_of(profile)} {arguments}",
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
