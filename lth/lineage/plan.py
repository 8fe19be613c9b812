"""The plan: which jobs some targets need, in order, and which of them are done. Pure; nothing starts."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from lth.lineage.begun import steps_begun
from lth.lineage.nodes import Job, derivation
from lth.lineage.store import Store


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """One job to do.

    Attributes:
        job: what to do.
        checkpoints: steps whose state others start from and that are not stored yet.
        finish: False if the job itself is done and only checkpoints are missing.
        needs: keys of the jobs that must be finished before.
    """

    job: Job
    checkpoints: tuple[int, ...]
    finish: bool
    needs: frozenset[str]

    @property
    def key(self) -> str:
        return self.job.key

    @property
    def until(self) -> int | None:
        """The last step to do, None for the job's end."""
        return None if self.finish else max(self.checkpoints)

    @property
    def steps(self) -> int:
        """Steps from the start of the job."""
        return self.job.steps if self.until is None else self.until - self.job.first_step

    @property
    def alike(self) -> Hashable:
        """What works must share to run in one program."""
        return type(self.job), self.job.alike, self.until


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What stands between a store and some targets.

    Attributes:
        works: jobs to do, in the order of the targets; each comes after those it needs.
        done: jobs among the targets' derivation that are finished.
        begun: of the works that were interrupted, the step at which they go on, by key.
    """

    works: tuple[Work, ...]
    done: tuple[Job, ...]
    begun: Mapping[str, int] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Steps to do in all."""
        return sum(work.steps for work in self.works)


def plan(targets: Sequence[Job], store: Store) -> Plan:
    """Return the jobs that the targets are derived from: those to do and those done."""
    nodes = derivation(*targets)
    left = {key: made_by for key, node in nodes.items() if (made_by := node.made_by) is not None}
    finished = store.finished(key for key, node in nodes.items() if isinstance(node, Job) or key in left)
    wanted: dict[str, set[int]] = {}
    for key, (job, step) in left.items():
        steps = wanted.setdefault(job.key, set())
        if step < job.first_step + job.steps and key not in finished:
            steps.add(step)
    behind: dict[str, frozenset[str]] = {}  # by key, all jobs that a node stands on
    works, done = [], []
    for key, node in nodes.items():
        behind[key] = frozenset().union(
            *(behind[each.key] | ({each.key} if isinstance(each, Job) else frozenset()) for each in node.inputs)
        )
        if not isinstance(node, Job):
            continue
        checkpoints = tuple(sorted(wanted.get(key, ())))
        is_done = key in finished
        if is_done and checkpoints and store.diverged_at(node) is not None:
            checkpoints = ()  # it never got there
        if is_done:
            done.append(node)
        if not is_done or checkpoints:
            works.append(Work(node, checkpoints, not is_done, behind[key]))
    order = {target.key: index for index, target in reversed(list(enumerate(targets)))}
    works.sort(key=lambda work: order.get(work.key, -1))
    return Plan(tuple(works), tuple(done), steps_begun((work.key for work in works), store))
