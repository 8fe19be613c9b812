"""What studies lack, in parts that do not stand on each other: what elements of a job array do."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from lth.lineage import Store, plan
from lth.lineage.plan import Work
from lth.studies.prepare import Study


class Part(BaseModel):
    """Jobs that one element of an array does, with all that they stand on.

    Attributes:
        keys: of the jobs that no other one of the part stands on, by the number of the study that holds them.
        jobs: keys of all of them.
        steps: optimizer steps in all.
    """

    model_config = ConfigDict(frozen=True)

    keys: dict[int, tuple[str, ...]]
    jobs: tuple[str, ...]
    steps: int


def lacking(studies: Sequence[Study], store: Store) -> list[Work]:
    """Return what studies need and the store lacks, in order, but for what cannot be done after a divergence."""
    todo = plan(list(dict.fromkeys(target for study in studies for target in study.targets)), store)
    diverged = {job.key for job in todo.done if store.diverged_at(job) is not None}
    return [work for work in todo.works if not work.needs & diverged]


def parts_of(works: Sequence[Work], held_by: dict[str, int], most: int) -> list[Part]:
    """Return the parts of some works, in their order: chains of trainings that share none, as a replicate's levels.

    Two processes that need one training would wait for each other, so that what shares a training to do is one part.
    Where there are more than `most`, the smallest share one.

    Args:
        works: what is to be done, of one study or several.
        held_by: the number of the study that holds a job, by key.
        most: how many parts there may be.
    """
    chains = _chains(works)
    if len(chains) > most:
        chains = _packed(chains, most)
    return [_part(chain, held_by) for chain in chains]


def _chains(works: Sequence[Work]) -> list[list[Work]]:
    """Return works in groups: two are in one if either needs the other, or both stand on one that is to be done."""
    group = {work.key: work.key for work in works}

    def root(key: str) -> str:
        while group[key] != key:
            group[key] = key = group[group[key]]
        return key

    for work in works:
        for needed in work.needs & group.keys():
            group[root(needed)] = root(work.key)
    chains: dict[str, list[Work]] = {}
    for work in works:
        chains.setdefault(root(work.key), []).append(work)
    return list(chains.values())


def _packed(chains: list[list[Work]], most: int) -> list[list[Work]]:
    """Return so many groups of chains, of about equal length: the longest first, each to where least is to be done."""
    packed: list[list[Work]] = [[] for _ in range(most)]
    steps = [0] * most
    for chain in sorted(chains, key=_steps, reverse=True):
        least = steps.index(min(steps))
        packed[least] += chain
        steps[least] += _steps(chain)
    return packed


def _steps(works: Sequence[Work]) -> int:
    return sum(work.steps for work in works)


def _part(works: Sequence[Work], held_by: dict[str, int]) -> Part:
    needed = frozenset[str]().union(*(work.needs for work in works))
    keys: dict[int, tuple[str, ...]] = {}
    for work in works:
        if work.key not in needed:
            keys[held_by[work.key]] = (*keys.get(held_by[work.key], ()), work.key)
    return Part(keys=dict(sorted(keys.items())), jobs=tuple(work.key for work in works), steps=_steps(works))
