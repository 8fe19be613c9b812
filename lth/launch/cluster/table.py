"""The table of schedulers."""

from lth.config.choices import Table
from lth.launch.cluster.lsf import Lsf
from lth.launch.cluster.scheduler import Scheduler
from lth.launch.cluster.slurm import Slurm

SCHEDULERS: Table[Scheduler] = Table("scheduler", {"slurm": Slurm(), "lsf": Lsf()})
