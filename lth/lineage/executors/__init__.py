"""Where jobs run: in this process, in worker processes, or in ranks that train together."""

from lth.lineage.executors.executor import Executor, Report, one_thread
from lth.lineage.executors.here import Here
from lth.lineage.executors.ranks import FirstRank, follow
from lth.lineage.executors.workers import WorkerDied, Workers

__all__ = ["Executor", "FirstRank", "Here", "Report", "WorkerDied", "Workers", "follow", "one_thread"]
