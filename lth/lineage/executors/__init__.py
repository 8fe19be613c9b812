"""Where jobs run: in this process, or in worker processes."""

from lth.lineage.executors.executor import Executor, Report, one_thread
from lth.lineage.executors.here import Here
from lth.lineage.executors.workers import WorkerDied, Workers

__all__ = ["Executor", "Here", "Report", "WorkerDied", "Workers", "one_thread"]
