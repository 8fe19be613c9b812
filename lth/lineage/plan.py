"""The plan: which trainings some targets need, in order, and which of them are done. Pure; nothing starts."""

from collections.abc import Sequence
from dataclasses import dataclass

from lth.lineage.nodes import Checkpoint, Trained, derivation
from lth.lineage.store import Store


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """One training to do.

    Attributes:
        trained: what to train.
        checkpoints: steps whose state others start from and that are not stored yet.
        finish: False if the training itself is done and only checkpoints are missing.
        needs: keys of the trainings that must be finished before.
    """

    trained: Trained
    checkpoints: tuple[int, ...]
    finish: bool
    needs: frozenset[str]

    @property
    def key(self) -> str:
        """Key of the training."""
        return self.trained.key

    @property
    def until(self) -> int | None:
        """The last step to train, None for the recipe's end."""
        return None if self.finish else max(self.checkpoints)

    @property
    def steps(self) -> int:
        """Optimizer steps, from the start of the training."""
        return (self.trained.recipe.steps if self.until is None else self.until) - self.trained.first_step


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What stands between a store and some targets.

    Attributes:
        works: trainings to do, in the order of the targets; each comes after those it needs.
        done: trainings among the targets' derivation that are finished.
    """

    works: tuple[Work, ...]
    done: tuple[Trained, ...]

    @property
    def steps(self) -> int:
        """Optimizer steps to do in all."""
        return sum(work.steps for work in self.works)


def plan(targets: Sequence[Trained], store: Store) -> Plan:
    """The trainings that the targets are derived from: those to do and those done."""
    nodes = derivation(*targets)
    wanted: dict[str, set[int]] = {}
    for node in nodes.values():
        if isinstance(node, Checkpoint):
            wanted.setdefault(node.trained.key, set())
            if not store.has(node):
                wanted[node.trained.key].add(node.step)
    works, done = [], []
    for node in nodes.values():
        if not isinstance(node, Trained):
            continue
        checkpoints = tuple(sorted(wanted.get(node.key, ())))
        is_done = store.has(node)
        if is_done and checkpoints and store.read_metrics(node)["diverged_at"] is not None:
            checkpoints = ()  # it never got there
        if is_done:
            done.append(node)
        if not is_done or checkpoints:
            needs = frozenset(
                key for key, other in derivation(node).items() if isinstance(other, Trained) and key != node.key
            )
            works.append(Work(node, checkpoints, not is_done, needs))
    order = {target.key: index for index, target in enumerate(targets)}
    works.sort(key=lambda work: order.get(work.key, -1))
    return Plan(tuple(works), tuple(done))
