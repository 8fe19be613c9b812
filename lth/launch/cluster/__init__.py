"""A study as jobs of a cluster: its parts, the written manifest, and schedulers."""

from lth.launch.cluster.launches import Launch, damaged_launches, find_launch, launches, read_launch
from lth.launch.cluster.parts import Part, lacking, parts_of
from lth.launch.cluster.run import run_part
from lth.launch.cluster.scheduler import Scheduler, SchedulerError
from lth.launch.cluster.status import LaunchStatus, status_of
from lth.launch.cluster.submit import check_script, make_launch, scripts, submit
from lth.launch.cluster.table import SCHEDULERS

__all__ = [
    "SCHEDULERS",
    "Launch",
    "LaunchStatus",
    "Part",
    "Scheduler",
    "SchedulerError",
    "check_script",
    "damaged_launches",
    "find_launch",
    "lacking",
    "launches",
    "make_launch",
    "parts_of",
    "read_launch",
    "run_part",
    "scripts",
    "status_of",
    "submit",
]
